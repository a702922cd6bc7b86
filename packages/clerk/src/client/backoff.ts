// Jittered exponential waiting: between half and all of base · 2^n, at most `max`.
import type { Random } from '@coppice/protocol'

export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: Random): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 20))
  return full * (0.5 + random() / 2)
}
