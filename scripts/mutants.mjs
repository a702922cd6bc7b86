// Switches off one protocol rule at a time in a copy of the built packages and tells the story in which that does damage:
// `node scripts/mutants.mjs [--only NAME]…`. First every story must hold on the real code. Prints what caught each mutant; exit code 1 if
// one survives, no longer applies, or a story fails without any.
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGES = ['protocol', 'runtime', 'configsvc', 'replica', 'clerk', 'vkv', 'sim']
const WORKERS = 2
/** Random seeds that hunt a mutant which its story does not catch any more, so that the report says whether they still do. */
const FALLBACK_SEEDS = 300

/**
 * Runs all mutants (or those named), two at a time. Calls `report` with each result and returns them all, the first being that of the
 * real code unless `real` is false. `fallback`: random seeds for a mutant that its story misses; it counts as caught then, by a seed.
 */
export async function runMutants({ only = [], report = () => undefined, fallback = FALLBACK_SEEDS, real = true } = {}) {
  const scratch = await mkdtemp(join(tmpdir(), 'coppice-mutants-'))
  try {
    // One copy for all, so that a build that runs meanwhile changes nothing.
    const base = join(scratch, 'base')
    await copyPackages(base)
    const all = await play(base, { list: true })
    const unknown = only.filter((name) => !all.some((m) => m.name === name))
    if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`)
    const mutants = all.filter((m) => only.length === 0 || only.includes(m.name))
    const waiting = real ? [undefined, ...mutants] : [...mutants]
    const results = []
    const worker = async () => {
      while (waiting.length > 0) {
        const mutant = waiting.shift()
        const result =
          mutant === undefined ? await checkReal(base, mutants) : await hunt(scratch, base, mutant, fallback)
        results.push(result)
        report(result)
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, worker))
    return results
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** The same stories under the same seeds on the real code: nothing may be found there. */
async function checkReal(base, mutants) {
  const name = 'the real code'
  const tasks = new Map(mutants.map((m) => [m.story, m.seeds]))
  for (const { story, seeds } of mutants) tasks.set(story, Math.max(seeds, tasks.get(story)))
  for (const [story, seeds] of tasks) {
    const found = await play(base, { story, seeds })
    if (found !== null) return { name, rule: '', ok: false, by: describe(found), message: found.message }
  }
  return { name, rule: '', ok: true, by: `holds in ${tasks.size} stories`, message: '' }
}

async function hunt(scratch, base, mutant, fallback) {
  const { name, rule, story, seeds } = mutant
  const dir = await mkdtemp(join(scratch, 'mutant-'))
  await cp(base, dir, { recursive: true, verbatimSymlinks: true })
  try {
    for (const edit of mutant.edits) {
      const file = join(dir, 'node_modules/@coppice', edit.file)
      const text = await readFile(file, 'utf8')
      const places = text.split(edit.find).length - 1
      if (places !== 1) {
        const by = `does not apply: ${JSON.stringify(edit.find)} occurs ${places} times in ${edit.file}`
        return { name, rule, ok: false, by, message: '' }
      }
      await writeFile(
        file,
        text.replace(edit.find, () => edit.replace),
      )
    }
    let found = await play(dir, { story, seeds })
    if (found === null) {
      found = await play(dir, { seeds: fallback })
      // What breaks the real code too has not caught the mutant.
      if (found === null || (await play(base, { first: found.seed, seeds: found.seed })) !== null)
        return { name, rule, ok: false, by: `survives story ${story} and ${fallback} seeds`, message: '' }
    }
    return { name, rule, ok: found.invariant !== 'error', by: describe(found), message: found.message }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function describe({ story, seed, invariant }) {
  return story === undefined ? `seed ${seed} (${invariant})` : `story ${story}, seed ${seed} (${invariant})`
}

async function copyPackages(dir) {
  const scope = join(dir, 'node_modules/@coppice')
  await mkdir(scope, { recursive: true })
  const built = (source) => !source.endsWith('.map') && !source.endsWith('.d.ts') && !source.endsWith('.tsbuildinfo')
  for (const name of PACKAGES) {
    await mkdir(join(scope, name))
    await cp(join(ROOT, 'packages', name, 'dist'), join(scope, name, 'dist'), { recursive: true, filter: built })
    await cp(join(ROOT, 'packages', name, 'package.json'), join(scope, name, 'package.json'))
  }
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name.startsWith('.') || name === '@coppice') continue
    await symlink(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name))
  }
  await writeFile(join(dir, 'play.mjs'), PLAY)
}

/** Plays a story, or random seeds, and prints the first violation or null; or lists the mutants. */
const PLAY = `
import { nodeBytes, nodeText } from '@coppice/runtime'
import { runSeed, MUTANT_STORIES, MUTANTS } from '@coppice/sim'
const { list, story: name, first = 1, seeds } = JSON.parse(process.argv[2])
if (list) {
  console.log(JSON.stringify(MUTANTS))
  process.exit(0)
}
const story = name === undefined ? undefined : MUTANT_STORIES.find((s) => s.name === name)
if (name !== undefined && story === undefined) throw new Error('no story named ' + name)
const options = { ports: { bytes: nodeBytes, text: nodeText }, quick: true, plan: story?.plan, story: story?.play }
for (let seed = first; seed <= seeds; seed++) {
  const { ok, violation } = await runSeed(seed, options)
  if (ok) continue
  const message = violation.message.split('\\n')[0]
  console.log(JSON.stringify({ story: name, seed, invariant: violation.invariant, message }))
  process.exit(0)
}
console.log('null')
`

function play(dir, task) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(dir, 'play.mjs'), JSON.stringify(task)], { cwd: dir })
    let out = ''
    let errors = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (errors += data))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) return resolve(JSON.parse(out.trim().split('\n').at(-1)))
      if (task.list) return reject(new Error(errors))
      const message = errors.trim().split('\n').slice(-12).join(' | ')
      resolve({ story: task.story, seed: 0, invariant: 'error', message })
    })
  })
}

/** One line of the table: mutant, rule, what caught it, in which words. */
export function lineOf({ ok, name, rule, by, message }) {
  return `${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(33)} ${rule.padEnd(16)} ${by.padEnd(62)} ${message}`.trimEnd()
}

export function verdictOf(results) {
  const failed = results.filter((r) => !r.ok).map((r) => r.name)
  return failed.length === 0 ? `all ${results.length - 1} mutants caught` : `not as it should be: ${failed.join(', ')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: [] } } })
  const results = await runMutants({ only: values.only, report: (result) => console.log(lineOf(result)) })
  console.log(verdictOf(results))
  process.exitCode = results.every((r) => r.ok) ? 0 : 1
}
