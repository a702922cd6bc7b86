// The words with which a replica answers clerks.
import type { ClerkId, RefusalReason, RefusedMessage, RepliesMessage, RequestId } from '@coppice/protocol'
import type { Segment } from './clerk-session.js'
import type { Shared } from './shared.js'

/** Refusal of `count` ids from `first` on. */
export function refusedMessage(
  s: Shared,
  of: RefusedMessage['of'],
  clerkId: ClerkId,
  firstId: RequestId,
  count: number,
  reason: RefusalReason,
): RefusedMessage {
  const { epoch, primary } = whoLeads(s)
  return { kind: 'refused', of, clerkId, firstId, count, reason, expected: 0, epoch, primary, message: '' }
}

/** Not the primary of an epoch known to run: try the one named. */
export function movedMessage(
  s: Shared,
  of: RefusedMessage['of'],
  clerkId: ClerkId,
  firstId: RequestId,
  count: number,
): RefusedMessage {
  return refusedMessage(s, of, clerkId, firstId, count, 'moved')
}

/** The newest active epoch known here, and its primary. */
function whoLeads(s: Shared): { epoch: number; primary: string } {
  const known = s.configuration
  return { epoch: known?.epoch ?? s.meta.epoch, primary: known?.members[0] ?? s.primary }
}

/** The replies of one run; `bytes` are all of them, in the layout of the message. */
export function storedReplies(s: Shared, clerkId: ClerkId, segment: Segment, bytes: Uint8Array): RepliesMessage {
  const last = segment.index + segment.step * (segment.count - 1)
  return {
    kind: 'replies',
    clerkId,
    firstRequestId: segment.first,
    count: segment.count,
    epoch: s.meta.epoch,
    minIndex: last + 1,
    replies: { buffer: bytes, start: 0, end: bytes.length },
  }
}
