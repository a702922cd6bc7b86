// The clients of other stores live in a folder of their own with their own lock file, so that nobody installs them who does not compare.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ROOT } from '../base/coppice.js'
import { note } from '../base/tool.js'

const FOLDER = join(ROOT, 'bench/clients')
/** Copy of the lock file that was installed. */
const STAMP = join(FOLDER, 'node_modules/.installed-lock.json')

export function installClients(): void {
  const lock = readFileSync(join(FOLDER, 'package-lock.json'), 'utf8')
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return
  note('installing the clients of the other stores …')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, error } = spawnSync(npm, args, { cwd: FOLDER, stdio: ['ignore', 'ignore', 'inherit'] })
  if (error !== undefined || status !== 0) throw new Error(`npm ci in bench/clients failed ${error?.message ?? ''}`)
  writeFileSync(STAMP, lock)
}

/** One of them; its types are not known to this checkout, so the caller says what it uses. */
export function requireClient<T>(name: string): T {
  return createRequire(join(FOLDER, 'package.json'))(name) as T
}
