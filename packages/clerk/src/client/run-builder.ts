// Puts the bytes of calls into one frame: count × (u32 length · operation), in a buffer of exactly that size which the link may keep.
import { writeU32 } from '@coppice/protocol'
import type { Ops } from '@coppice/protocol'
import type { Call } from './call.js'

/** `bytes` is the sum over the calls of 4 + length. */
export function buildOps(calls: readonly Call[], bytes: number): Ops {
  const buffer = new Uint8Array(bytes)
  let at = 0
  for (let i = 0; i < calls.length; i++) {
    const operation = calls[i]!.bytes
    const n = operation.length
    writeU32(buffer, at, n)
    at += 4
    // A short copy is cheaper by hand than by a call into the engine.
    if (n < 48) for (let j = 0; j < n; j++) buffer[at + j] = operation[j]!
    else buffer.set(operation, at)
    at += n
  }
  return { buffer, start: 0, end: bytes }
}

/** A copy for the user out of a frame that is valid for this step only. */
export function copyOut(buffer: Uint8Array, start: number, n: number): Uint8Array {
  const copy = new Uint8Array(n)
  if (n < 48) for (let i = 0; i < n; i++) copy[i] = buffer[start + i]!
  else copy.set(buffer.subarray(start, start + n))
  return copy
}
