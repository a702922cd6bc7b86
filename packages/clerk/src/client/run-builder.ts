// Puts the operations of calls into one frame: count × (u32 length · operation). Where the calls were written one behind the other
// (space.ts), they lie in this form already and leave as they lie.
import { writeU32 } from '@coppice/protocol'
import type { Ops } from '@coppice/protocol'
import type { Call } from './call.js'

/** Up to here a loop is cheaper than a call into the engine. */
const SHORT = 48

/** `bytes` is the sum over the calls of 4 + size. The link has read the answer's bytes when its `send` returns. */
export function buildOps(calls: readonly Call[], bytes: number): Ops {
  return liesInPlace(calls) ? inPlace(calls, bytes) : copied(calls, bytes)
}

function liesInPlace(calls: readonly Call[]): boolean {
  const { buffer, start } = calls[0]!
  // Only what was written into a space has its length in front of it.
  let at = start
  for (let i = 0; i < calls.length; i++) {
    const call = calls[i]!
    if (!call.framed || call.buffer !== buffer || call.start !== at) return false
    at = call.end + 4
  }
  return true
}

function inPlace(calls: readonly Call[], bytes: number): Ops {
  const { buffer, start } = calls[0]!
  return { buffer, start: start - 4, end: start - 4 + bytes }
}

function copied(calls: readonly Call[], bytes: number): Ops {
  const buffer = new Uint8Array(bytes)
  let at = 0
  for (let i = 0; i < calls.length; i++) {
    const call = calls[i]!
    const n = call.end - call.start
    writeU32(buffer, at, n)
    at += 4
    copyInto(buffer, at, call.buffer, call.start, n)
    at += n
  }
  return { buffer, start: 0, end: bytes }
}

function copyInto(target: Uint8Array, at: number, source: Uint8Array, start: number, n: number): void {
  if (n < SHORT) for (let i = 0; i < n; i++) target[at + i] = source[start + i]!
  else target.set(n === source.length ? source : source.subarray(start, start + n), at)
}

/** A copy for the user out of a frame that is valid for this step only. */
export function copyOut(buffer: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start)
  copyInto(copy, 0, buffer, start, end - start)
  return copy
}
