// `npm test`: sets up, then every check and every test, and one last line with the totals. Test projects may be named to run only
// those: npm test -- unit. A check that fails counts as one failed test.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, setup } from './setup.mjs'

const PROJECTS = ['unit', 'fuzz', 'process']
const named = process.argv.slice(2)
const unknown = named.filter((name) => !PROJECTS.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`no test project ${unknown.join(', ')}; there are ${PROJECTS.join(', ')}\n`)
  process.exit(2)
}

const bin = (...path) => join(root, 'node_modules', ...path)
const TSC = bin('typescript', 'bin', 'tsc')
const CHECKS = [
  ['types of pure code', TSC, '-p', 'tsconfig.pure.json'],
  ['types of tests', TSC, '-p', 'tsconfig.test.json'],
  ['lint', bin('oxlint', 'bin', 'oxlint'), '--deny-warnings'],
  ['format', bin('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'],
  ['API reference', join(root, 'scripts', 'api-docs.mjs'), '--check'],
  ['unused code', bin('knip', 'bin', 'knip.js'), '--no-config-hints'],
]

let passed = 0
let failed = 0

try {
  await setup()
  if (named.length === 0) for (const [what, ...command] of CHECKS) await check(what, command)
  // One after the other: real clusters in the process tests must not share the processors with the simulator's seeds.
  for (const project of named.length === 0 ? PROJECTS : named) await runProject(project)
} catch (error) {
  failed++
  process.stdout.write(`${error.message}\n`)
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

async function check(what, command) {
  const began = Date.now()
  const { code, output } = await run(command, 'pipe')
  if (code !== 0) failed++
  process.stdout.write(`${what}: ${code === 0 ? 'ok' : 'FAILED'} (${seconds(began)})\n`)
  if (code !== 0) process.stdout.write(`${output.trim()}\n`)
}

async function runProject(project) {
  const began = Date.now()
  const dir = mkdtempSync(join(tmpdir(), 'coppice-test-'))
  const report = join(dir, 'report.json')
  process.stdout.write(`tests: ${project}\n`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const vitest = [bin('vitest', 'vitest.mjs'), 'run', '--passWithNoTests', '--project', project, ...reporters]
  const { code } = await run(vitest, 'inherit')
  const totals = totalsOf(report)
  rmSync(dir, { recursive: true, force: true })
  // A file that cannot be loaded, or an error outside of any test, fails the run without a failed test.
  if (code !== 0 && totals.failed === 0) totals.failed = 1
  passed += totals.passed
  failed += totals.failed
  const skipped = totals.skipped === 0 ? '' : `, ${totals.skipped} skipped`
  process.stdout.write(
    `tests: ${project}: ${totals.passed} passed, ${totals.failed} failed${skipped} (${seconds(began)})\n`,
  )
}

function totalsOf(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function run(command, output) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', output, output] })
    let text = ''
    child.stdout?.on('data', (data) => (text += data))
    child.stderr?.on('data', (data) => (text += data))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output: text }))
  })
}

function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`
}
