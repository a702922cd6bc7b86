// The words with which a replica answers clerks.
import { MAX_PAGE_BYTES, readU32 } from '@coppice/protocol'
import type { ClerkId, Index, RefusalReason, RefusedMessage, RepliesMessage, RequestId } from '@coppice/protocol'
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

/** The newest active epoch known here, and its primary, or who will be that in a moment. */
function whoLeads(s: Shared): { epoch: number; primary: string } {
  const known = s.configuration
  const { drain } = s
  if (drain !== undefined && drain.target !== s.options.id && (known?.epoch ?? 0) < drain.epoch)
    return { epoch: known?.epoch ?? s.meta.epoch, primary: drain.target }
  return { epoch: known?.epoch ?? s.meta.epoch, primary: known?.members[0] ?? s.primary }
}

/** The replies of one run, in messages that any connection takes; `bytes` are all of them, in the layout of the message. */
export function* storedReplies(
  s: Shared,
  clerkId: ClerkId,
  segment: Segment,
  bytes: Uint8Array,
): Generator<{ readonly lastIndex: Index; readonly message: RepliesMessage }> {
  const { epoch } = s.meta
  for (let from = 0, start = 0; from < segment.count;) {
    let end = start
    let to = from
    while (to < segment.count && (to === from || end - start < MAX_PAGE_BYTES)) {
      end += 5 + readU32(bytes, end + 1)
      to++
    }
    const lastIndex = segment.index + segment.step * (to - 1)
    const replies = { buffer: bytes, start, end }
    const run = { clerkId, firstRequestId: segment.first + from, count: to - from, replies }
    yield { lastIndex, message: { kind: 'replies', ...run, epoch, minIndex: lastIndex + 1 } }
    from = to
    start = end
  }
}
