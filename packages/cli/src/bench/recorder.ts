// What one client process measured: latencies per kind of operation, how many ended in each second, failures by their code.
import { Histogram } from './histogram.js'
import type { HistogramData } from './histogram.js'
import { KINDS } from './mixes.js'
import type { KindIndex } from './mixes.js'

/** The measured part of a run, on the clock of the process. */
export interface Window {
  readonly from: number
  readonly until: number
}

export interface RecordedData {
  /** Latencies by kind, of all operations that ended in the window or were under way at its end. */
  readonly kinds: readonly HistogramData[]
  /** Operations that ended in the window, by second. Throughput counts these. */
  readonly perSecond: readonly number[]
  readonly failures: Readonly<Record<string, number>>
  /** Reads that found nothing. */
  readonly missing: number
  /** Open loop: operations that were due and not sent, because too many were under way. */
  readonly notSent: number
  /** Open loop: how much later than intended operations were sent, because this process was busy. */
  readonly lateness: HistogramData
}

export class Recorder {
  readonly window: Window
  /** Operations that ended in the window so far. */
  operations = 0
  notSent = 0
  readonly lateness = new Histogram()
  readonly #kinds = KINDS.map(() => new Histogram())
  readonly #perSecond: Float64Array
  readonly #failures = new Map<string, number>()
  #missing = 0

  constructor(window: Window) {
    this.window = window
    this.#perSecond = new Float64Array(Math.ceil((window.until - window.from) / 1_000))
  }

  ended(kind: KindIndex, startedAt: number, endedAt: number): void {
    const { from, until } = this.window
    if (endedAt < from) return
    this.#kinds[kind]!.record(endedAt - startedAt)
    if (endedAt >= until) return
    this.operations++
    this.#perSecond[Math.floor((endedAt - from) / 1_000)]!++
  }

  failed(error: unknown, at: number): void {
    if (at < this.window.from) return
    const code = codeOf(error)
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1)
  }

  foundNothing(at: number): void {
    if (at >= this.window.from) this.#missing++
  }

  data(): RecordedData {
    return {
      kinds: this.#kinds.map((histogram) => histogram.data()),
      perSecond: [...this.#perSecond],
      failures: Object.fromEntries(this.#failures),
      missing: this.#missing,
      notSent: this.notSent,
      lateness: this.lateness.data(),
    }
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  return typeof code === 'string' || typeof code === 'number' ? String(code) : error.name
}
