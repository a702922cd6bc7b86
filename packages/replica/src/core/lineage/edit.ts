// Changes to a lineage that go with changes to its log (PROTOCOL 5).
import { epochAt } from '@coppice/protocol'
import type { Epoch, Index, Lineage } from '@coppice/protocol'

/** Lineage of the entries below `end` alone: epochs that wrote nothing there are dropped. */
export function lineageBelow(lineage: Lineage, end: Index): Lineage {
  return lineage.filter(([, start]) => start < end)
}

/** The lineage after an entry of `epoch` is appended at `next` by a transfer. */
export function lineageWith(lineage: Lineage, epoch: Epoch, next: Index): Lineage {
  if (epochAt(lineage, next) === epoch && epochAt(lineage, next - 1) === epoch) return lineage
  // Trailing epochs without entries may be dead attempts above `epoch`: they describe nothing.
  const below = lineageBelow(lineage, next)
  return epochAt(below, next) === epoch ? below : [...below, [epoch, next]]
}

/** Whether both name the same epoch for every index below `end`. */
export function agreeBelow(a: Lineage, b: Lineage, end: Index): boolean {
  for (const [, start] of [...a, ...b]) if (start < end && epochAt(a, start) !== epochAt(b, start)) return false
  return true
}
