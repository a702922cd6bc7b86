// A client in a process of its own, told by the lines that it says.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { within } from './wait.js'

const processes = new Set<ChildProcess>()

/** However a test ends. */
export function killClientProcesses(): void {
  for (const child of processes) child.kill('SIGKILL')
}

/** The machine's monotonic time, µs: the same in all its processes. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

/** A client in a process of its own, told by its lines. It ends when its stdin does. */
export class ClientProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(script: string, args: readonly string[], onLine: (line: string) => void) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.#child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    processes.add(this.#child)
    createInterface({ input: this.#child.stdout! }).on('line', onLine)
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        processes.delete(this.#child)
        resolve(code)
      })
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async end(): Promise<void> {
    this.#child.stdin!.end()
    const code = await within('end of a client', this.#ended)
    if (code !== 0) throw new Error(`a client ended with ${code}`)
  }
}
