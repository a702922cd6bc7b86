// Recorded histories of a key-value register and their text form (PRODUCT, check-history): JSON lines in real-time order, one event
// a line. An invocation and its answer become one Operation; positions are line numbers.
import { canonical, parseJson } from './json.js'
import type { Json } from './json.js'

/** What a history's operations do to a register. */
export type HistoryFunction = 'read' | 'write' | 'cas' | 'append'

/** One line of a history. */
export interface HistoryEvent {
  readonly process: number | string
  readonly type: 'invoke' | 'ok' | 'fail' | 'info'
  readonly f: HistoryFunction
  readonly key: Json
  readonly value?: Json
}

/** One operation: what was asked, and what is known of its fate. */
export interface Operation {
  readonly process: number | string
  readonly f: HistoryFunction
  /** Canonical text of the key. */
  readonly key: string
  /** write: the value; append: the text; cas: [old, new]; read: what it returned (when ok). */
  readonly value: Json
  /**
   * ok: it took effect between its two lines. fail: a cas whose comparison failed there; anything else did not happen. open: it may take
   * effect at any time after `invoked`, or never.
   */
  readonly outcome: 'ok' | 'fail' | 'open'
  /** Line of the invocation. */
  readonly invoked: number
  /** Line of the answer; Infinity when open. */
  readonly completed: number
}

/** A history that cannot be read; `line` counts from 1. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError'
  readonly line: number
  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`)
    this.line = line
  }
}

const FUNCTIONS: readonly string[] = ['read', 'write', 'cas', 'append']
const TYPES: readonly string[] = ['invoke', 'ok', 'fail', 'info']

/** Reads JSON lines. Empty lines and the events of a process called "nemesis" are passed over. Throws HistoryError. */
export function parseHistory(text: string): Operation[] {
  const pairing = new Pairing()
  let line = 0
  for (let at = 0; at < text.length; line++) {
    const end = text.indexOf('\n', at)
    const raw = text.slice(at, end < 0 ? text.length : end).trim()
    at = end < 0 ? text.length : end + 1
    if (raw === '') continue
    const event = parseLine(raw, line + 1)
    if (event !== undefined) pairing.add(event, line + 1)
  }
  return pairing.finish()
}

/** The operations of events that were recorded in memory; positions count from 1. Throws HistoryError. */
export function operationsOf(events: readonly HistoryEvent[]): Operation[] {
  const pairing = new Pairing()
  events.forEach((event, i) => pairing.add(event, i + 1))
  return pairing.finish()
}

function parseLine(raw: string, line: number): HistoryEvent | undefined {
  let json: Json
  try {
    json = parseJson(raw)
  } catch (error) {
    throw new HistoryError(line, `not JSON (${error instanceof Error ? error.message : String(error)})`)
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    throw new HistoryError(line, 'not a JSON object')
  const { process, type, f, key, value } = json as Record<string, Json>
  if (process === 'nemesis' || process === ':nemesis') return undefined
  if (typeof process !== 'number' && typeof process !== 'string')
    throw new HistoryError(line, `"process" must be a number or a string, not ${canonical(process)}`)
  if (typeof type !== 'string' || !TYPES.includes(type))
    throw new HistoryError(line, `"type" must be one of ${TYPES.join(', ')}, not ${canonical(type)}`)
  if (typeof f !== 'string' || !FUNCTIONS.includes(f))
    throw new HistoryError(line, `"f" must be one of ${FUNCTIONS.join(', ')}, not ${canonical(f)}`)
  return { process, type: type as HistoryEvent['type'], f: f as HistoryFunction, key, value }
}

/** Joins each answer to the invocation of its process. */
class Pairing {
  private readonly operations: (Operation | undefined)[] = []
  private readonly openByProcess = new Map<
    number | string,
    { event: HistoryEvent; line: number; at: number; key: string }
  >()

  add(event: HistoryEvent, line: number): void {
    if (event.type === 'invoke') {
      checkArgument(event, line)
      // A process that invokes again without an answer has given up: what it invoked before stays open.
      this.close(event.process, 'open', Infinity, undefined)
      const at = this.operations.push(undefined) - 1
      this.openByProcess.set(event.process, { event, line, at, key: canonical(event.key) })
      return
    }
    const open = this.openByProcess.get(event.process)
    // Said again, or of something that was invoked before the recording began: it tells nothing.
    if (open === undefined && event.type === 'info') return
    if (open === undefined)
      throw new HistoryError(line, `process ${event.process} answers "${event.type}" but has nothing invoked`)
    if (open.event.f !== event.f)
      throw new HistoryError(
        line,
        `process ${event.process} answers ${event.f} but invoked ${open.event.f} on line ${open.line}`,
      )
    if (event.key !== undefined && canonical(event.key) !== open.key)
      throw new HistoryError(
        line,
        `process ${event.process} answers for key ${canonical(event.key)} but invoked for ${open.key}`,
      )
    if (event.type === 'ok') checkAnswer(open.event, event, line)
    if (event.type === 'info') this.close(event.process, 'open', Infinity, undefined)
    else this.close(event.process, event.type, line, event.value)
  }

  finish(): Operation[] {
    for (const process of [...this.openByProcess.keys()]) this.close(process, 'open', Infinity, undefined)
    return this.operations as Operation[]
  }

  private close(process: number | string, outcome: Operation['outcome'], completed: number, answer: Json): void {
    const open = this.openByProcess.get(process)
    if (open === undefined) return
    this.openByProcess.delete(process)
    const { f, value } = open.event
    this.operations[open.at] = {
      process,
      f,
      key: open.key,
      value: (f === 'read' ? answer : value) ?? null,
      outcome,
      invoked: open.line,
      completed,
    }
  }
}

function checkArgument({ f, value }: HistoryEvent, line: number): void {
  if (f === 'cas' && (!Array.isArray(value) || value.length !== 2))
    throw new HistoryError(line, `"value" of a cas must be [old, new], not ${canonical(value)}`)
  if (f === 'append' && typeof value !== 'string' && value !== null && value !== undefined)
    throw new HistoryError(line, `"value" of an append must be a string, not ${canonical(value)}`)
  if (f === 'write' && value === undefined) throw new HistoryError(line, 'a write needs a "value"')
}

// The answer of a write, cas or append may repeat its argument, but not contradict it.
function checkAnswer(invoked: HistoryEvent, answer: HistoryEvent, line: number): void {
  if (answer.f === 'read' || answer.value === undefined || answer.value === null) return
  if (canonical(answer.value) !== canonical(invoked.value))
    throw new HistoryError(
      line,
      `answer ${canonical(answer.value)} differs from the invoked ${canonical(invoked.value)}`,
    )
}
