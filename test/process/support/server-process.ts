// One server as a real process of its own, started through the built command: its events as they are logged, and ways to break it.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { within } from './wait.js'

export const COMMAND = fileURLToPath(new URL('../../../packages/cli/bin/coppice.js', import.meta.url))

/** One line of a server's log. */
export interface LoggedEvent {
  readonly event: string
  readonly [field: string]: unknown
}
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Every event of every server on stderr: COPPICE_TEST_TRACE=1, to find out what went on. */
const TRACE = process.env['COPPICE_TEST_TRACE'] === '1'

const running = new Set<ChildProcess>()
// However this process ends, nothing that it started stays behind. (SIGKILL of it closes the channel, by which they notice.)
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class ServerProcess {
  readonly id: string
  readonly kind: 'config' | 'replica'
  readonly address: string
  readonly dataDir: string
  /** Of all its lives. */
  readonly events: LoggedEvent[] = []
  /** Told of every event at once. */
  onEvent: ((event: LoggedEvent) => void) | undefined
  private readonly command: readonly string[]
  private child: ChildProcess | undefined
  private ended: Promise<Ending> = Promise.resolve({ code: 0, signal: null })
  private words = ''

  /** `command`: script and arguments. */
  constructor(
    where: { id: string; kind: 'config' | 'replica'; address: string; dataDir: string },
    command: readonly string[],
  ) {
    this.id = where.id
    this.kind = where.kind
    this.address = where.address
    this.dataDir = where.dataDir
    this.command = command
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }
  get isRunning(): boolean {
    return this.child !== undefined
  }
  /** What it said on stderr for people, of all its lives. */
  get lastWords(): string {
    return this.words
  }

  /** Resolves once it listens. */
  async start(): Promise<void> {
    const child = this.spawn()
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve())
      child.stdout!.once('data', () => resolve())
      void this.ended.then(({ code, signal }) =>
        reject(new Error(`${this.id} ended with ${signal ?? code} before it was ready: ${this.words}`)),
      )
    })
    await within(`readiness of ${this.id}`, ready)
  }

  /** Runs it where it is expected to end by itself. */
  async runToEnd(): Promise<Ending & { words: string }> {
    const from = this.words.length
    this.spawn()
    return { ...(await within(`end of ${this.id}`, this.ended)), words: this.words.slice(from) }
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.ended
  }
  /** Orderly, by SIGTERM. */
  async stop(): Promise<Ending> {
    this.child?.kill('SIGTERM')
    return this.ended
  }
  signal(name: NodeJS.Signals): void {
    this.child?.kill(name)
  }
  /** Resolves with how it ended. */
  get ending(): Promise<Ending> {
    return this.ended
  }

  private spawn(): ChildProcess {
    if (this.child !== undefined) throw new Error(`${this.id} is running already`)
    const child = spawn(process.execPath, [...this.command], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // The command then says by the channel when it is ready, and stops when the channel closes.
      env: { ...process.env, COPPICE_FROM_DEV: '1', NO_COLOR: '1' },
    })
    this.child = child
    running.add(child)
    createInterface({ input: child.stderr! }).on('line', (line) => this.onLine(line))
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child)
        if (this.child === child) this.child = undefined
        resolve({ code, signal })
      })
    })
    return child
  }

  private onLine(line: string): void {
    const event = line.startsWith('{') ? (JSON.parse(line) as Partial<LoggedEvent>) : undefined
    if (event === undefined) this.words += `${line}\n`
    else if (event.event !== undefined) {
      this.events.push(event as LoggedEvent)
      if (TRACE) process.stderr.write(`${line}\n`)
      this.onEvent?.(event as LoggedEvent)
    }
  }
}
