// The handle on one client process: what it is told and what it answers.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CliError, EXIT } from '../base/exit.js'
import type { RecordedData } from './recorder.js'
import type { ClientSpec, FromClient, ToClient } from './spec.js'

const SCRIPT = fileURLToPath(new URL('./client-process.js', import.meta.url))

const CLOSE_MS = 3_000

type Told<K extends FromClient['kind']> = Extract<FromClient, { kind: K }>

export class Client {
  /** Operations that ended in the window so far. */
  operations = 0
  readonly #process: ChildProcess
  readonly #told = new Map<FromClient['kind'], FromClient>()
  #waiting: (() => void)[] = []
  #failure: CliError | undefined

  constructor(spec: ClientSpec) {
    // Its words are for messages only; what it prints is the user's concern.
    this.#process = fork(SCRIPT, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#process.on('message', (message: FromClient) => {
      if (message.kind === 'failed') this.#failure ??= new CliError(message.exitCode, message.message)
      else if (message.kind === 'progress') this.operations = message.operations
      this.#told.set(message.kind, message)
      this.#wake()
    })
    this.#process.once('error', (error) => {
      this.#failure ??= failure(error.message)
      this.#wake()
    })
    // Comes after the last message, unlike `exit`.
    this.#process.once('disconnect', () => {
      this.#failure ??= failure('a client process ended unexpectedly')
      this.#wake()
    })
    this.#tell({ kind: 'prepare', spec })
  }

  run(): void {
    this.#tell({ kind: 'run' })
  }

  /** Resolves once the process has said this; rejects when it failed. */
  async heard<K extends FromClient['kind']>(kind: K): Promise<Told<K>> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const message = this.#told.get(kind)
      if (message !== undefined) return message as Told<K>
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Resolves when it has also closed its connections, which it is given a moment for. */
  async result(): Promise<RecordedData> {
    const { data } = await this.heard('result')
    const timer = setTimeout(() => this.stop(), CLOSE_MS)
    await this.heard('closed').catch(() => undefined)
    clearTimeout(timer)
    return data
  }

  stop(): void {
    this.#process.kill('SIGKILL')
  }

  #tell(message: ToClient): void {
    this.#process.send(message, (error) => {
      if (error !== null) this.#failure ??= failure(error.message)
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

function failure(message: string): CliError {
  return new CliError(EXIT.error, message)
}
