// What the command prints: data on stdout, everything else on stderr; colours and bars only on a terminal, never with NO_COLOR.
import type { WriteStream } from 'node:tty'

export type OutputFormat = 'table' | 'json'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const
export type Colour = keyof typeof CODES

function isColoured(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '0') return true
  return stream.isTTY === true && TERM !== 'dumb'
}

/** The text in colour when `stream` shows colours. */
export function paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return isColoured(stream) ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text
}

/** One line of data. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, process.stdout.isTTY === true ? 2 : undefined))
}

/** One line for the user, not data. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Rows under headings, columns aligned; numbers to the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(String))
  const widths = headings.map((heading, i) => Math.max(heading.length, ...cells.map((row) => row[i]!.length)))
  const isNumeric = headings.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'))
  const pad = (text: string, i: number): string => (isNumeric[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!))
  const head = paint('bold', headings.map(pad).join('  ').trimEnd())
  return [head, ...cells.map((row) => row.map(pad).join('  ').trimEnd())].join('\n')
}

/** A line on stderr that is redrawn in place; nothing at all when stderr is no terminal. */
export class Progress {
  readonly #stream = process.stderr as WriteStream
  readonly #label: string
  #drawnAt = 0
  #shown = false

  constructor(label: string) {
    this.#label = label
  }

  update(done: number, total: number, tail: string): void {
    if (this.#stream.isTTY !== true) return
    const now = performance.now()
    if (now - this.#drawnAt < 80 && done < total) return
    this.#drawnAt = now
    this.#shown = true
    const width = 28
    const filled = total === 0 ? width : Math.floor((width * done) / total)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`
    const line = `${this.#label} ${bar} ${done}/${total} ${tail}`
    this.#stream.write(`\r\u001b[K${line.slice(0, Math.max(this.#stream.columns - 1, 20))}`)
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[K')
    this.#shown = false
  }
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = -1
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}
