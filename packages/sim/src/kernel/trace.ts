// The transcript of a run: one line an event — time, node, input, effects. Kept only when asked for: a violation is replayed from its
// seed with the trace on, so an untraced run pays nothing.

const RING = 4_000

export class Trace {
  readonly enabled: boolean
  readonly #keepAll: boolean
  #lines: string[] = []
  #dropped = 0

  constructor(enabled: boolean, keepAll = false) {
    this.enabled = enabled
    this.#keepAll = keepAll
  }

  line(timeMs: number, node: string, text: string): void {
    this.#lines.push(`${timeMs.toFixed(3).padStart(10)}  ${node.padEnd(8)} ${text}`)
    if (!this.#keepAll && this.#lines.length > 2 * RING) {
      this.#dropped += RING
      this.#lines = this.#lines.slice(RING)
    }
  }

  lines(): string[] {
    return this.#dropped === 0 ? this.#lines : [`… ${this.#dropped} earlier lines dropped`, ...this.#lines]
  }
}

/** One value in few characters: bytes as their number, long lists and strings cut. */
export function brief(value: unknown, depth = 0): string {
  if (value instanceof Uint8Array) return `<${value.length} B>`
  if (typeof value === 'string') return value.length > 48 ? `${value.slice(0, 45)}…` : value
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(2)
  if (value === null || typeof value !== 'object') return String(value)
  if (depth > 3) return '…'
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map((v) => brief(v, depth + 1))
    return `[${shown.join(' ')}${value.length > 8 ? ` …${value.length}` : ''}]`
  }
  const parts: string[] = []
  for (const [key, v] of Object.entries(value)) {
    if (key === 'kind' || HIDDEN.has(key) || v === undefined) continue
    parts.push(`${key}=${brief(v, depth + 1)}`)
  }
  const kind = (value as { kind?: unknown }).kind
  const body = parts.join(' ')
  return typeof kind === 'string' ? (body === '' ? kind : `${kind}{${body}}`) : `{${body}}`
}
const HIDDEN = new Set([
  'params',
  'configServers',
  'history',
  'adminResults',
  'buffer',
  'group',
  'clusterId',
  'digest',
  'server',
])
