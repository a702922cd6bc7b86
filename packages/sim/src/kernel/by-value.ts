// Messages pass by value. Data messages are copied at send, as encoding would; control messages are shared, and in some seeds frozen,
// so that whoever changes one after sending it is caught. In other seeds every message goes through the real codec.
import { decodeMessage, encodeMessage } from '@coppice/protocol'
import type { LinkKind, Message, Ops, TextPort } from '@coppice/protocol'

/** How a message passes the simulated network: the same object, the same but frozen, or through its bytes. */
export type PassMode = 'share' | 'freeze' | 'codec'

/** A message in flight, to be delivered `copies` times: `open` gives each delivery its own value. */
export interface Parcel {
  open(): Message
}

export function pack(message: Message, link: LinkKind, mode: PassMode, text: TextPort, copies = 1): Parcel {
  if (mode === 'codec') {
    const encoded = encodeMessage(message, text).slice()
    return { open: () => decodeMessage(copies > 1 ? encoded.slice() : encoded, link, text) }
  }
  const copy = copyData(message)
  if (copy === undefined) {
    if (mode === 'freeze') deepFreeze(message)
    return { open: () => message }
  }
  return { open: () => (copies > 1 ? copyData(copy)! : copy) }
}

function copyOps(ops: Ops): Ops {
  return { buffer: ops.buffer.slice(ops.start, ops.end), start: 0, end: ops.end - ops.start }
}

/** A copy of a data message with its own bytes; undefined for a control message. */
function copyData(message: Message): Message | undefined {
  switch (message.kind) {
    case 'requests':
    case 'reads': {
      const ops = copyOps(message.ops)
      return { ...message, ops }
    }
    case 'replies':
    case 'readReplies': {
      const replies = copyOps(message.replies)
      return { ...message, replies }
    }
    case 'register':
    case 'registered':
      return { ...message, nonce: message.nonce.slice() }
    case 'append':
      return { ...message, record: message.record.slice() }
    case 'logChunk':
      return { ...message, records: message.records.slice() }
    case 'snapshotChunk':
      return { ...message, bytes: message.bytes.slice() }
    default:
      return undefined
  }
}

/** Overwrites the borrowed bytes of a message after the step it was lent for, so that a kept view shows. */
export function poison(message: Message): void {
  if (message.kind === 'requests' || message.kind === 'reads') message.ops.buffer.fill(0xaa)
}

export function deepFreeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value) || value instanceof Uint8Array) return
  Object.freeze(value)
  for (const key in value) deepFreeze((value as Record<string, unknown>)[key])
}
