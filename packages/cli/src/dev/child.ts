// One server process of a dev cluster: started as a process of its own, with a channel by whose closing it notices that its parent is
// gone, however that died; started again when it dies, unless it is being held down (chaos kill --no-restart).
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { isPaused, startTimeOf } from './processes.js'
import { COMMAND_FILE, FROM_DEV } from './parent.js'

export interface ChildOptions {
  readonly id: string
  /** Arguments of the coppice command. */
  readonly args: readonly string[]
  /** Its logs are appended here. */
  readonly logFile: string
  /** Pause before a dead one is started again, ms; one that ended in order (SIGTERM) is started again at once. */
  readonly restartMs: number
  /** Whether it must stay down for now. */
  readonly isHeld: () => boolean
  /** It was started, is ready, or has ended; `pid` 0 when it is down. */
  readonly onChange: (what: 'started' | 'ready' | 'ended' | 'died' | 'held', detail: string) => void
}

const MAX_RESTART_MS = 30_000
const HELD_POLL_MS = 300
const TERM_GRACE_MS = 8_000
const LOG_TAIL_BYTES = 4_096
/** The state lies in glibc's memory: in large pages a look-up among a million keys takes a fifth less (Linux; others do not know it). */
const LARGE_PAGES = 'glibc.malloc.hugetlb=1'

export class Child {
  readonly id: string
  pid = 0
  startTime = ''
  readonly #options: ChildOptions
  #process: ChildProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  #failures = 0
  #isReady = false

  constructor(options: ChildOptions) {
    this.id = options.id
    this.#options = options
  }

  /** Resolves when it is ready; rejects with its last words when it ends before that. */
  start(): Promise<void> {
    const { args, logFile, onChange } = this.#options
    return new Promise((resolve, reject) => {
      const log = openSync(logFile, 'a')
      const logFrom = statSync(logFile).size
      // Its own session: Ctrl-C on the terminal reaches only the parent, which stops everything in order.
      const child = spawn(process.execPath, [COMMAND_FILE, ...args], {
        detached: true,
        stdio: ['ignore', log, log, 'ipc'],
        env: { GLIBC_TUNABLES: LARGE_PAGES, ...process.env, [FROM_DEV]: '1' },
      })
      closeSync(log)
      this.#process = child
      this.pid = child.pid ?? 0
      this.startTime = startTimeOf(this.pid) ?? ''
      this.#isReady = false
      onChange('started', '')
      child.on('message', () => {
        this.#isReady = true
        this.#failures = 0
        onChange('ready', '')
        resolve()
      })
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        const how = signal ?? `exit code ${code}`
        this.#onExit(how, code === 0 && this.#isReady)
        if (!this.#isReady) reject(new Error(lastWords(logFile, logFrom) ?? `${this.id} ended with ${how}`))
      })
    })
  }

  /** Ends it, politely first: by the signal of a terminal, for all of the cluster ends. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#process
    if (child === undefined) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    if (isPaused(this.pid)) child.kill('SIGCONT')
    child.kill('SIGINT')
    const timer = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS)
    await ended
    clearTimeout(timer)
  }

  #onExit(how: string, inOrder: boolean): void {
    this.#process = undefined
    this.pid = 0
    this.startTime = ''
    if (this.#stopping) return
    if (!this.#isReady) this.#failures++
    this.#options.onChange(inOrder ? 'ended' : 'died', how)
    if (inOrder) return this.#later(0)
    const { restartMs } = this.#options
    this.#later(Math.min(restartMs * 2 ** this.#failures, Math.max(restartMs, MAX_RESTART_MS)))
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      if (this.#stopping) return
      if (this.#options.isHeld()) {
        this.#options.onChange('held', '')
        this.#whileHeld()
      } else this.start().catch(() => undefined)
    }, ms)
  }

  #whileHeld(): void {
    this.#timer = setTimeout(() => {
      if (this.#stopping) return
      if (this.#options.isHeld()) this.#whileHeld()
      else this.start().catch(() => undefined)
    }, HELD_POLL_MS)
  }
}

// The last line that a server which could not start wrote for people.
function lastWords(logFile: string, from: number): string | undefined {
  const lines = readFileSync(logFile)
    .subarray(Math.max(from, statSync(logFile).size - LOG_TAIL_BYTES))
    .toString()
  return lines
    .trim()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{') && !line.startsWith('('))
    .at(-1)
    ?.replace(/^error: /, '')
}
