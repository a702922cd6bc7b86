// Runs the coppice command as a user does and answers what it said.
import { type ChildProcess, spawn } from 'node:child_process'
import { COMMAND } from './server-process.js'
import { within } from './wait.js'

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}
export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Uint8Array
  /** Told of the process when it runs. */
  readonly onStarted?: (child: ChildProcess) => void
}

export function runCommand(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = new Promise<Ran>((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...args], {
      cwd: options.cwd,
      env: { ...withoutSettings(), NO_COLOR: '1', ...options.env },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (err += data))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
    child.stdin.end(options.stdin ?? '')
    options.onStarted?.(child)
  })
  return within(`end of coppice ${args.join(' ').slice(0, 100)}`, ran, 120_000)
}

// Settings of whoever runs the tests are not those of the tests.
export function withoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('COPPICE_')))
}
