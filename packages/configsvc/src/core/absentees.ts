// Members that went down in order, mostly to be started again at once: for a while nobody takes their place, for they come back with nearly
// all they need, where another may have to learn the whole state.
import type { Millis, NodeId } from '@coppice/protocol'
import { RETURN_MS } from './bounds.js'

export class Absentees {
  private readonly untilById = new Map<NodeId, Millis>()

  add(now: Millis, id: NodeId): void {
    this.untilById.set(id, now + RETURN_MS)
  }

  /** Who is waited for, and until when. */
  expected(now: Millis): ReadonlyMap<NodeId, Millis> {
    for (const [id, until] of this.untilById) if (now >= until) this.untilById.delete(id)
    return this.untilById
  }
}
