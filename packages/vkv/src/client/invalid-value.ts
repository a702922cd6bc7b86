// Values that are not what their codec or schema asks for: the error names the key and the place in the value.
import { CoppiceError, type Outcome } from '@coppice/protocol'

/** Steps from the value's root to the part that is wrong; empty: the whole value. */
export type ValuePath = readonly (string | number)[]

/** What a codec throws that knows the place but not the key. */
export class ValueProblem extends Error {
  readonly path: ValuePath

  constructor(message: string, path: ValuePath, cause: unknown) {
    super(message, { cause })
    this.path = path
  }
}

/**
 * A value that its codec or schema refuses, code INVALID_VALUE. Of a write nothing was sent. Of a read it tells what is stored; outcome
 * `applied` when the call that has read it has written too.
 */
export class InvalidValueError extends CoppiceError {
  /** The key as it stands in the store, with its prefix. */
  readonly key: string
  readonly path: ValuePath

  /** `what`: which value it is, for the message. `cause`: what the codec has thrown. */
  constructor(what: string, key: string, cause: unknown, outcome: Outcome = 'not-applied') {
    const path = cause instanceof ValueProblem ? cause.path : []
    const at = path.length === 0 ? '' : ` at ${pathText(path)}`
    const said = cause instanceof Error ? cause.message : String(cause)
    super(`${what} of key ${JSON.stringify(key)} is invalid${at}: ${said}`, {
      code: 'INVALID_VALUE',
      outcome,
      cause: cause instanceof ValueProblem ? cause.cause : cause,
    })
    this.key = key
    this.path = path
  }
}

/** `address.lines[2].text` */
export function pathText(path: ValuePath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}
