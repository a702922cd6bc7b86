// Switches off one protocol rule at a time in a copy of the built packages and lets the simulator hunt for the damage:
// `node scripts/mutants.mjs [--only NAME]`. Prints what caught each mutant; exit code 1 if one survives or no longer applies.
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGES = ['protocol', 'runtime', 'configsvc', 'replica', 'clerk', 'vkv', 'sim']

/** Hunts all mutants (or those named), two at a time. Calls `report` with each result; returns them all. */
export async function runMutants({ only = [], report = () => undefined } = {}) {
  const { MUTANTS } = await import(pathToFileURL(join(ROOT, 'packages/sim/dist/index.js')).href)
  const unknown = only.filter((name) => !MUTANTS.some((m) => m.name === name))
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`)
  const waiting = MUTANTS.filter((m) => only.length === 0 || only.includes(m.name))
  const results = []
  const slot = async () => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = { name: mutant.name, rule: mutant.rule, ...(await hunt(mutant)) }
      results.push(result)
      report(result)
    }
  }
  await Promise.all([slot(), slot()])
  return results
}

async function hunt(mutant) {
  const dir = await mkdtemp(join(tmpdir(), 'coppice-mutant-'))
  try {
    await copyPackages(dir)
    for (const edit of mutant.edits) {
      const file = join(dir, 'node_modules/@coppice', edit.file ?? mutant.file)
      const text = await readFile(file, 'utf8')
      const places = [...text.matchAll(patternOf(edit.find))].length
      if (places !== 1) {
        return {
          caught: false,
          by: `does not apply: ${JSON.stringify(edit.find)} occurs ${places} times in ${edit.file ?? mutant.file}`,
        }
      }
      await writeFile(
        file,
        text.replace(patternOf(edit.find), () => edit.replace),
      )
    }
    await writeFile(join(dir, 'hunt.mjs'), HUNT)
    return await runHunt(dir, mutant)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** The text to find; spaces and line breaks stand for any amount of white space, so that formatting does not matter. */
function patternOf(find) {
  const words = find.trim().split(/\s+/)
  return new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('\\s+'), 'g')
}

async function copyPackages(dir) {
  const scope = join(dir, 'node_modules/@coppice')
  await mkdir(scope, { recursive: true })
  for (const name of PACKAGES) {
    await mkdir(join(scope, name))
    await cp(join(ROOT, 'packages', name, 'dist'), join(scope, name, 'dist'), { recursive: true })
    await cp(join(ROOT, 'packages', name, 'package.json'), join(scope, name, 'package.json'))
  }
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name.startsWith('.') || name === '@coppice') continue
    await symlink(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name))
  }
}

const HUNT = `
import { nodeBytes, nodeText } from '@coppice/runtime'
import { runSeed, STORIES } from '@coppice/sim'
const mutant = JSON.parse(process.argv[2])
const story = mutant.story === undefined ? undefined : STORIES.find((s) => s.name === mutant.story)
if (mutant.story !== undefined && story === undefined) throw new Error('no story named ' + mutant.story)
const plan = { ...story?.plan, ...mutant.plan, ...(mutant.faults === undefined ? {} : { faults: mutant.faults }) }
const options = { ports: { bytes: nodeBytes, text: nodeText }, plan, quick: true, ...(story === undefined ? {} : { story: story.play }) }
for (let seed = 1; seed <= mutant.seeds; seed++) {
  const result = await runSeed(seed, options)
  if (result.ok) continue
  console.log(JSON.stringify({ seed, invariant: result.violation.invariant, message: result.violation.message.split('\\n')[0] }))
  process.exit(0)
}
console.log('null')
`

function runHunt(dir, mutant) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(dir, 'hunt.mjs'), JSON.stringify(mutant)], { cwd: dir })
    let out = ''
    let errors = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (errors += data))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0)
        return resolve({
          caught: false,
          by: `the hunt itself failed: ${errors.trim().split('\n').slice(-12).join(' | ')}`,
        })
      const found = JSON.parse(out.trim().split('\n').at(-1))
      const where = mutant.story === undefined ? 'seed' : `story ${mutant.story}, seed`
      if (found === null) return resolve({ caught: false, by: `survives ${where} 1–${mutant.seeds}` })
      resolve({ caught: true, by: `${where} ${found.seed}`, invariant: found.invariant, message: found.message })
    })
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: [] } } })
  const results = await runMutants({
    only: values.only,
    report: (r) =>
      console.log(
        `${r.caught ? 'caught  ' : 'SURVIVES'}  ${r.name.padEnd(30)} ${r.rule.padEnd(10)} ${r.by}  ${r.message ?? ''}`,
      ),
  })
  const survivors = results.filter((r) => !r.caught)
  console.log(`${results.length - survivors.length} of ${results.length} mutants caught`)
  process.exitCode = survivors.length > 0 ? 1 : 0
}
