// The packages as users get them: packed, installed from their tarballs into a fresh project outside of the repository, and used from
// there: TypeScript in both module resolutions, ECMAScript modules and CommonJS, every example of every README, on a cluster that the
// installed command runs. Nothing here resolves to a source of the repository.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ran, withoutSettings } from './support/command.js'
import { Dev } from './support/dev.js'
import { type Example, examplesOf, relocated } from './support/readme.js'
import { within } from './support/wait.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const project = realpathSync(mkdtempSync(join(tmpdir(), 'coppice-project-')))
const installed = join(project, 'node_modules/@coppice')
const dev = new Dev(join(project, 'coppice-data'), join(installed, 'cli/bin/coppice.js'))
const TSC = join(root, 'node_modules/typescript/bin/tsc')

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, unknown>>
}
let packages: Manifest[] = []

/** Runs a program in the project as somebody who never saw the repository. */
function run(args: readonly string[], command = process.execPath): Promise<Ran> {
  // What npm tells its scripts (this run may be one) is not for the npm of another project.
  const env = Object.fromEntries(Object.entries(withoutSettings()).filter(([name]) => !/^npm_|^NODE_/i.test(name)))
  const ran = new Promise<Ran>((resolve, reject) => {
    const child = spawn(command, args, { cwd: project, env, shell: command === 'npm' && process.platform === 'win32' })
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (err += data))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
  })
  return within(`end of ${args.join(' ')}`, ran, 120_000)
}

async function npm(...args: string[]): Promise<void> {
  const ran = await run([...args, '--no-audit', '--no-fund', '--loglevel=error'], 'npm')
  expect(ran, `npm ${args.join(' ')}`).toMatchObject({ code: 0 })
}

function writeProject(file: string, content: string): void {
  mkdirSync(join(project, file, '..'), { recursive: true })
  writeFileSync(join(project, file), content)
}

/** Compiles the project's files with the strictest reading of our declarations: `skipLibCheck` off, and no types of Node. */
async function compile(config: string, options: Readonly<Record<string, unknown>>, include: readonly string[]) {
  const compilerOptions = { target: 'es2022', lib: ['es2022', 'dom'], strict: true, exactOptionalPropertyTypes: true }
  const settings = { compilerOptions: { ...compilerOptions, skipLibCheck: false, types: [], ...options }, include }
  writeProject(config, JSON.stringify(settings))
  const began = performance.now()
  const ran = await run([TSC, '-p', config])
  expect(ran.out + ran.err).toBe('')
  expect(ran.code).toBe(0)
  return Math.round(performance.now() - began)
}

/** Every example runs where it was put; answers what went wrong. */
async function wrongRun(example: Example, file: string): Promise<string[]> {
  const { code, out, err } = await run([file])
  const lines = out.split('\n').slice(0, -1)
  const asSaid = example.prints.length === 0 || lines.join('\n') === example.prints.join('\n')
  if (code === 0 && asSaid && err === '') return []
  return [`${example.where}: exit code ${code}, said ${example.prints.join(' | ')}, printed ${out}${err}`]
}

const readmes = [
  ['README.md', 'README.md'],
  ...readdirSync(join(root, 'packages')).map((name) => [`packages/${name}/README.md`, `${name}/README.md`]),
] as [file: string, name: string][]
const examples = readmes.flatMap(([file, name]) => examplesOf(join(root, file), name))

beforeAll(async () => {
  const packed = await run([join(root, 'scripts/pack.mjs'), join(project, 'tarballs')])
  expect(packed).toMatchObject({ code: 0 })
  await npm('init', '-y')
  const tarballs = readdirSync(join(project, 'tarballs')).map((file) => `./tarballs/${file}`)
  // Without any script: lmdb comes with prebuilt binaries, nothing is compiled.
  await npm('install', '--ignore-scripts', '--prefer-offline', ...tarballs)
  packages = readdirSync(installed).map(
    (name) => JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8')) as Manifest,
  )
  await dev.start()
}, 120_000)

afterAll(async () => {
  await dev.remove()
  rmSync(project, { recursive: true, force: true })
})

test('tarballs_holdWhatUsersNeedAndNothingElse', () => {
  expect(packages.map(({ name }) => name).sort()).toEqual(
    readdirSync(join(root, 'packages'))
      .map((name) => `@coppice/${name}`)
      .sort(),
  )
  for (const name of readdirSync(installed)) {
    const entries = readdirSync(join(installed, name), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    const own = files.map((file) => file.slice(join(installed, name).length + 1).replaceAll('\\', '/'))
    expect(own, name).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE']))
    const odd = own.filter((f) => !/^(package\.json|README\.md|LICENSE|bin\/[a-z]+\.js|dist\/.*\.(js|d\.ts))$/.test(f))
    expect(odd, name).toEqual([])
    for (const file of files) expect(readFileSync(file, 'utf8').includes(root), file).toBe(false)
  }
})

test('everythingPublic_compilesWithoutTypesOfNode', async () => {
  const entries = packages.flatMap(({ name, exports }) =>
    Object.keys(exports)
      .filter((path) => path !== './package.json')
      .map((path) => `${name}${path.slice(1)}`),
  )
  const all = entries.map((entry, i) => `export * as e${i} from '${entry}'`).join('\n')
  writeProject('everything/all.mts', all)
  writeProject('everything/all.ts', all)
  writeProject('everything/required.cts', `import vkv = require('@coppice/vkv')\nexport const db = vkv.connect('')\n`)
  const nodenext = await compile('everything.json', { module: 'nodenext', noEmit: true }, ['everything'])
  // As compilers are set up by default.
  const bundler = { module: 'esnext', moduleResolution: 'bundler', noEmit: true, skipLibCheck: true }
  const bundled = await compile('bundler.json', bundler, ['everything/all.ts'])
  console.log(
    `types: ${entries.length} entries compiled in ${bundled} ms (bundler), with all libraries checked in ${nodenext} ms (nodenext)`,
  )
})

test('examplesOfAllReadmes_compileAndPrintWhatTheySay', async () => {
  expect(readmes.filter(([, name]) => !examples.some(({ where }) => where.startsWith(`${name}:`)))).toEqual([])
  const addresses = dev.clusterJson.configServers.map(({ address }) => address)
  const source = { ts: 'mts', js: 'mjs', cjs: 'cjs' }
  for (const [i, { language, code }] of examples.entries())
    writeProject(`examples/example-${i}.${source[language]}`, await relocated(code, addresses))
  await compile('examples.json', { module: 'nodenext' }, ['examples/*.mts'])
  const wrong: string[] = []
  // One after the other: they share a cluster.
  for (const [i, example] of examples.entries()) {
    const file = `examples/example-${i}.${example.language === 'cjs' ? 'cjs' : 'mjs'}`
    wrong.push(...(await wrongRun(example, file)))
  }
  expect(wrong).toEqual([])
})

test('commonJs_byRequireAndByImport', async () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  const requires = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)
  const entries = packages.flatMap(({ name, exports }) => Object.keys(exports).map((path) => `${name}${path.slice(1)}`))
  writeProject('required.cjs', entries.map((entry) => `require('${entry}')`).join('\n'))
  if (requires) expect(await run(['required.cjs'])).toEqual({ code: 0, out: '', err: '' })
  writeProject('imported.cjs', `import('@coppice/vkv').then(({ connect }) => console.log(typeof connect))`)
  expect(await run(['imported.cjs'])).toEqual({ code: 0, out: 'function\n', err: '' })
})

test('embedded_underNodeTest_asModuleAndAsCommonJs_leavesNothingOpen', async () => {
  const body = `
    let cluster
    let db
    before(async () => {
      cluster = await startEmbedded()
      db = await cluster.connect()
    })
    after(() => cluster.close())
    test('a failover loses nothing', async () => {
      await db.kv.put('before', 'kept')
      await cluster.crash((await cluster.status()).primary)
      await db.withLock('name', (lock) => lock.kv.put('after', 'written'))
      assert.deepEqual(await db.kv.getMany(['before', 'after']), ['kept', 'written'])
    })`
  const names = [
    ['assert', 'node:assert/strict'],
    ['{ after, before, test }', 'node:test'],
    ['{ startEmbedded }', '@coppice/embedded'],
  ] as const
  const imports = names.map(([name, from]) => `import ${name} from '${from}'`)
  writeProject('runners/module.test.mjs', [...imports, body].join('\n'))
  const dynamic = names.slice(0, 2).map(([name, from]) => `const ${name} = require('${from}')`)
  const late = body.replace(
    'cluster = await',
    `const { startEmbedded } = await import('@coppice/embedded')\ncluster = await`,
  )
  writeProject('runners/common.test.cjs', [...dynamic, late].join('\n'))
  // The runner waits for the end of each file's process: an open handle would hold it up for ever.
  const { code, out, err } = await run(['--test', 'runners/module.test.mjs', 'runners/common.test.cjs'])
  expect({ code, err }, out).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/pass 2\b/)
})

test('clientEntry_loadsNoServerCode', async () => {
  const addresses = dev.clusterJson.configServers.map(({ address }) => address)
  // Every module file that Node opens by the time a client has put and got a value, as the loader itself names them.
  const program = [
    `import { register } from 'node:module'`,
    `const hook = 'export async function load(url, context, next) { process._rawDebug(url); return next(url, context) }'`,
    `register('data:text/javascript,' + encodeURIComponent(hook))`,
    `const { connect } = await import('@coppice/vkv')`,
    `const db = await connect('coppice://${addresses.join(',')}')`,
    `await db.kv.put('a', 'b')`,
    `if ((await db.kv.get('a')) !== 'b') process.exitCode = 1`,
    `await db.close()`,
  ]
  writeProject('client.mjs', program.join('\n'))
  const { code, err } = await run(['client.mjs'])
  expect(code).toBe(0)
  const urls = err.split('\n')
  expect(urls.some((url) => url.includes('@coppice/vkv/dist/index.js'))).toBe(true)
  expect(urls.some((url) => url.includes('/ws/'))).toBe(true)
  const server =
    /node_modules\/(lmdb|pino|msgpackr|commander)\/|@coppice\/(replica|configsvc|sim|cli)\/|@coppice\/.*server/
  expect(urls.filter((url) => server.test(url))).toEqual([])
})

test('installedCommand_saysItsVersionAndTalksToTheCluster', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const command = join(installed, 'cli/bin/coppice.js')
  expect(await run([command, '--version'])).toMatchObject({ code: 0, out: `${version}\n` })
  expect(await run([command, 'kv', 'put', 'from', 'the command'])).toMatchObject({ code: 0 })
  expect(await run([command, 'kv', 'get', 'from'])).toMatchObject({ code: 0, out: 'the command' })
})
