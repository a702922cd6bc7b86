// Makes a checkout ready to run: checks Node, installs what the lock file names when that is not there yet, and builds. Only
// built-ins, because it runs before anything is installed; called by start.mjs and test.mjs, so it needs no lifecycle script.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const LOCK = join(root, 'package-lock.json')
/** Written by npm when an install is complete. */
const INSTALLED = join(root, 'node_modules', '.package-lock.json')
/** Hash of the lock file that was installed: a checkout changes times, not contents. */
const STAMP = join(root, 'node_modules', '.coppice-lock')
const NODE_NEEDED = [20, 15]

/** Throws an Error in plain words when a step fails. */
export async function setup() {
  checkNode()
  if (needsInstall()) await install()
  await step('building', 'node', [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b'])
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [needMajor, needMinor] = NODE_NEEDED
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return
  throw new Error(`Node ${NODE_NEEDED.join('.')} or newer is needed; this is ${process.versions.node}`)
}

function lockHash() {
  return createHash('sha256').update(readFileSync(LOCK)).digest('hex')
}

function needsInstall() {
  if (!existsSync(INSTALLED)) return true
  if (existsSync(STAMP)) return readFileSync(STAMP, 'utf8') !== lockHash()
  return statSync(INSTALLED).mtimeMs < statSync(LOCK).mtimeMs
}

async function install() {
  // npm's own path, when npm runs this; a name for the shell to find otherwise.
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  if (npm !== undefined && npm.endsWith('.js')) await step('installing packages', 'node', [npm, ...args])
  else await step('installing packages', 'npm', args)
  writeFileSync(STAMP, lockHash())
}

/**
 * Runs one command quietly: its output is shown only when it fails. `node` is this Node.
 */
function step(what, command, args) {
  const began = Date.now()
  const seconds = () => `${((Date.now() - began) / 1000).toFixed(1)} s`
  const tty = process.stderr.isTTY === true
  const windows = process.platform === 'win32'
  return new Promise((resolve, reject) => {
    const child = spawn(command === 'node' ? process.execPath : command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // npm is a batch file there.
      shell: windows && command !== 'node',
    })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    const timer = tty ? setInterval(() => process.stderr.write(`\r\x1b[2K${what} … ${seconds()}`), 200) : undefined
    const finish = () => {
      clearInterval(timer)
      if (tty) process.stderr.write('\r\x1b[2K')
    }
    child.once('error', (error) => {
      finish()
      reject(new Error(`${what} failed: ${error.message}`))
    })
    child.once('close', (code) => {
      finish()
      if (code !== 0) return reject(new Error(`${what} failed:\n${output.trim()}`))
      process.stderr.write(`${what}: ${seconds()}\n`)
      resolve()
    })
  })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  setup().catch((error) => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  })
}
