// The bank demo beside a dev cluster: scripts/bank.mjs as a child, its lines passed on with a margin.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { note, paint } from '../base/output.js'

const SCRIPT = fileURLToPath(new URL('../../../../scripts/bank.mjs', import.meta.url))
const ATTACHED = fileURLToPath(new URL('./attached.js', import.meta.url))
const TERM_GRACE_MS = 3_000

export interface Demo {
  stop(): Promise<void>
}

/** Starts it; undefined (with a word about it) outside a checkout, where there is no such script. */
export function startDemo(configAddresses: readonly string[]): Demo | undefined {
  if (!existsSync(SCRIPT)) {
    note('no demo: scripts/bank.mjs is only in the source checkout')
    return undefined
  }
  const child = spawn(process.execPath, [ATTACHED, SCRIPT, '--config', configAddresses.join(',')], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, COPPICE_CONFIG: configAddresses.join(',') },
  })
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream! }).on('line', (line) => note(`${paint('cyan', 'bank │', process.stderr)} ${line}`))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let stopping = false
  child.once('exit', (code, signal) => {
    if (!stopping) note(`the bank demo ended (${signal ?? `exit code ${code}`})`)
  })
  return {
    async stop() {
      stopping = true
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS)
      await ended
      clearTimeout(timer)
    },
  }
}
