// Logs: JSON lines on stderr, one per event of the fixed list (PRODUCT, observability). Never a key or a value: only numbers, booleans,
// short strings and lists of them pass; bytes are replaced by their length.
import { pino } from 'pino'
import type { EventName } from '@coppice/protocol'

/** From which severity on lines are written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
/** What is said beside an event or text. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where a server says what happens. */
export interface Logger {
  /** A fact from the fixed list of events. */
  event(name: EventName, fields?: LogFields): void
  debug(text: string, fields?: LogFields): void
  warn(text: string, fields?: LogFields): void
  error(text: string, fields?: LogFields): void
}

/** Who logs, what and where. */
export interface LoggerOptions {
  /** Written into every line. */
  readonly id: string
  readonly role: 'config' | 'replica' | 'client'
  readonly group?: string
  readonly level?: LogLevel
  /** Where lines go; default: stderr, written synchronously so that the last words of a stopping process are not lost. */
  readonly write?: (line: string) => void
}

// Events an operator should look at.
const WARNINGS: ReadonlySet<EventName> = new Set<EventName>([
  'linkRefused',
  'loopStalled',
  'memberSuspected',
  'attemptAbandoned',
  'tooFewServers',
  'transferRefused',
  'diskLow',
  'dataLossSuspected',
])

/** A logger that writes JSON lines. Bytes are replaced by their length, long strings are cut. */
export function createLogger(options: LoggerOptions): Logger {
  const { id, role, group, level = 'info', write } = options
  const base = { id, role, ...(group === undefined ? {} : { group }), pid: process.pid }
  const settings = {
    level,
    base,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log = pino(settings, write === undefined ? pino.destination({ dest: 2, sync: true }) : { write })
  return {
    event: (name, fields) => log[WARNINGS.has(name) ? 'warn' : 'info']({ event: name, ...plainFields(fields) }),
    debug: (text, fields) => log.debug(plainFields(fields), text),
    warn: (text, fields) => log.warn(plainFields(fields), text),
    error: (text, fields) => log.error(plainFields(fields), text),
  }
}

const LONGEST_STRING = 500
const LONGEST_LIST = 32

function plainFields(fields: LogFields = {}): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) plain[name] = plainField(value)
  return plain
}

function plainField(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
    case 'boolean':
    case 'undefined':
      return value
    case 'string':
      return value.length > LONGEST_STRING ? `${value.slice(0, LONGEST_STRING)}…` : value
    case 'object':
      if (value === null) return null
      if (value instanceof Error) return value.stack ?? value.message
      if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
      if (Array.isArray(value)) return value.slice(0, LONGEST_LIST).map(plainField)
      return plainFields(value as LogFields)
    default:
      return typeof value
  }
}
