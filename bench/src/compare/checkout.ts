// Another commit of this repository, checked out and built in a directory of its own. The repository itself is left alone.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../base/coppice.js'
import { note, UsageError } from '../base/tool.js'

export interface Commit {
  readonly hash: string
  readonly subject: string
}

export function commitOf(name: string): Commit {
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%h %s', `${name}^{commit}`, '--'], { cwd: ROOT })
  if (status !== 0) throw new UsageError(`"${name}" is no commit of this repository`)
  const line = stdout.toString().trim()
  return { hash: line.slice(0, line.indexOf(' ')), subject: line.slice(line.indexOf(' ') + 1) }
}

/** Leaves it built in `dir`, which must not exist yet. */
export function checkOut({ hash }: Commit, dir: string): void {
  note(`checking out and building ${hash} …`)
  run(ROOT, 'git', 'clone', '--quiet', '--shared', '--no-checkout', ROOT, dir)
  run(dir, 'git', 'checkout', '--quiet', '--detach', hash)
  if (sameLock(dir)) {
    // Links between the workspaces stay relative, and so lead to the copy's own packages.
    cpSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  } else run(dir, 'npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error')
  run(dir, process.execPath, join(dir, 'node_modules/typescript/bin/tsc'), '-b')
}

function sameLock(dir: string): boolean {
  const lockOf = (checkout: string): string => readFileSync(join(checkout, 'package-lock.json'), 'utf8')
  return existsSync(join(ROOT, 'node_modules')) && lockOf(ROOT) === lockOf(dir)
}

function run(cwd: string, command: string, ...args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd })
  if (status === 0) return
  const said = error?.message ?? `${stdout.toString()}${stderr.toString()}`.trim()
  throw new Error(`${command} ${args.slice(0, 2).join(' ')} failed:\n${said}`)
}
