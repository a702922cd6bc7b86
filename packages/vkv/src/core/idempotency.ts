// A write under an idempotency key as bytes: the caller's own name for the operation stands before it.
//
//   u8 kind · u8 flags · u53 keepMs · u8 n · idempotency key · operation        a write of one key, or a transaction
import { MAX_IDEMPOTENCY_KEY_BYTES, MAX_TTL_MS, Writer, type Millis } from '@coppice/protocol'
import { OP_TXN, OP_TXN_TIMED } from './txn.js'
import { wholeNumber } from './whole-number.js'

export const OP_ONCE = 20

/** An update: the same operation whatever value its caller computed. */
const FLAG_ANY_VALUE = 1
const HEAD_BYTES = 11
/** Writes of one key have the numbers up to this one. */
const LAST_WRITE = 3

/** Under which name a write is done once. */
export interface Once {
  /** 1–128 bytes. */
  readonly key: Uint8Array
  /** For how long the answer is kept, ms. */
  readonly keepMs: Millis
  /** The operation is an update: what it writes does not name it. */
  readonly anyValue?: boolean
}

/** What it says, for the parser of all operations. */
export interface OnceFields {
  onceStart: number
  onceEnd: number
  keepMs: Millis
  anyValue: boolean
  innerStart: number
  innerEnd: number
}

/** The operation that does another one once, however often it is asked for under this name. */
export function encodeOnce(once: Once, operation: Uint8Array): Uint8Array {
  const w = new Writer(HEAD_BYTES + once.key.length + operation.length)
  w.u8(OP_ONCE)
  w.u8(once.anyValue === true ? FLAG_ANY_VALUE : 0)
  w.u53(once.keepMs)
  w.u8(once.key.length)
  w.raw(once.key)
  w.raw(operation)
  return w.view()
}

/** Takes apart what stands before the operation: answers where that begins, or what is wrong. */
export function parseOnce(op: OnceFields, b: Uint8Array, start: number, end: number): number | string {
  if (start + HEAD_BYTES > end) return 'idempotency key is cut off'
  const flags = b[start + 1]!
  if ((flags & ~FLAG_ANY_VALUE) !== 0) return `idempotency key has unknown flags ${flags}`
  op.anyValue = flags !== 0
  op.keepMs = wholeNumber(b, start + 2, end)
  if (op.keepMs < 1 || op.keepMs > MAX_TTL_MS) {
    return `idempotency key is kept for ${op.keepMs} ms, not between 1 ms and ten years`
  }
  const length = b[start + 10]!
  if (length === 0) return 'idempotency key is empty'
  if (length > MAX_IDEMPOTENCY_KEY_BYTES) {
    return `idempotency key of ${length} bytes is above the limit of ${MAX_IDEMPOTENCY_KEY_BYTES}`
  }
  op.onceStart = start + HEAD_BYTES
  op.onceEnd = op.onceStart + length
  op.innerStart = op.onceEnd
  op.innerEnd = end
  if (op.onceEnd >= end) return 'operation is empty'
  const kind = b[op.onceEnd]!
  if (kind >= 1 && kind <= LAST_WRITE) return op.onceEnd
  if (kind !== OP_TXN && kind !== OP_TXN_TIMED) return `operation ${kind} takes no idempotency key`
  // It computes nothing: all of its bytes name it.
  return op.anyValue ? 'a transaction is no update' : op.onceEnd
}
