// A number of an operation that nobody has checked yet.
import { readU32, readU53 } from '@coppice/protocol'

/** The number in eight bytes at `at`; -1: it is cut off or above 2^53. */
export function wholeNumber(b: Uint8Array, at: number, end: number): number {
  return at + 8 > end || readU32(b, at + 4) > 0x1f_ffff ? -1 : readU53(b, at)
}
