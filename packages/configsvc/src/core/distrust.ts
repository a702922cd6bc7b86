// Servers that were replaced for trouble, or failed to join, stay out of automatic changes for a while that doubles with each time; else
// a half-broken server would be taken back and thrown out for ever.
import type { Millis, NodeId } from '@coppice/protocol'
import { DISTRUST_MAX_MS, DISTRUST_MIN_MS } from './bounds.js'

export class Distrust {
  private readonly byId = new Map<NodeId, { until: Millis; times: number }>()

  add(now: Millis, id: NodeId): void {
    const before = this.byId.get(id)
    // One that was well for the longest pause is as good as any.
    const times = before === undefined || now - before.until >= DISTRUST_MAX_MS ? 1 : before.times + 1
    const forMs = Math.min(DISTRUST_MAX_MS, DISTRUST_MIN_MS * 2 ** Math.min(times - 1, 10))
    this.byId.set(id, { until: now + forMs, times })
  }

  /** When `id` may be taken again; -Infinity: any time. */
  until(id: NodeId): Millis {
    return this.byId.get(id)?.until ?? -Infinity
  }
}
