// Canonical text of JSON values, so that two values are equal exactly when their texts are: object keys sorted, numbers by their
// mathematical value. Numbers that a double cannot hold keep their digits: 9007199254740993 is not 9007199254740992.

/** A JSON value, or an ExactNumber inside one. */
export type Json = unknown

/** A number whose text would lose digits as a double; compared by its normalised decimal form. */
export class ExactNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Canonical text of a value that came from `parseJson` or was built in memory. `undefined` counts as null. */
export function canonical(value: Json): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return Object.is(value, -0) ? '0' : String(value)
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'bigint') return decimalForm(String(value))
  if (value instanceof ExactNumber) return value.text
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const record = value as Record<string, Json>
  const parts = Object.keys(record)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(record[key])}`)
  return `{${parts.join(',')}}`
}

// A number token that may not survive as a double: 16 digits or more, or an exponent.
const RISKY = /\d[\d.]{15}|\d[eE]/
// A number so small that its double may be 0.
const VANISHING = /\d[eE]-\d{3}/

/** JSON.parse that keeps numbers exact, so that numbers which differ never become equal. Throws SyntaxError. */
export function parseJson(text: string): Json {
  const value: Json = JSON.parse(text)
  if (!mayHaveLost(value) && !VANISHING.test(text)) return value
  // The text is valid JSON, so numbers outside strings can be found by one regular expression and marked by a string that no input can hold.
  const mark = freeMark(text)
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    token.startsWith('"') || !RISKY.test(token) ? token : JSON.stringify(mark + token),
  )
  return unmark(JSON.parse(marked), mark)
}

// A number that is no safe integer may have been rounded.
function mayHaveLost(value: Json): boolean {
  if (typeof value === 'number') return !Number.isSafeInteger(value)
  if (value === null || typeof value !== 'object') return false
  return Object.values(value).some(mayHaveLost)
}

function freeMark(text: string): string {
  let mark = '#exact:'
  while (text.includes(mark)) mark = `#${mark}`
  return mark
}

function unmark(value: Json, mark: string): Json {
  if (typeof value === 'string') return value.startsWith(mark) ? exactNumber(value.slice(mark.length)) : value
  if (Array.isArray(value)) return value.map((item) => unmark(item, mark))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unmark(item, mark)]))
}

function exactNumber(text: string): Json {
  const form = decimalForm(text)
  const double = Number(text)
  return Number.isFinite(double) && decimalForm(String(double)) === form ? double : new ExactNumber(form)
}

/** digits and a power of ten without trailing zeros: equal for 1e3, 1000 and 1000.0. */
function decimalForm(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return text
  const fraction = match[3] ?? ''
  const digits = (match[2]! + fraction).replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const exponent = BigInt(match[4] ?? '0') - BigInt(fraction.length) + BigInt(digits.length - significant.length)
  return `${match[1]}${significant}e${exponent}`
}
