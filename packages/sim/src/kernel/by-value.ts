// Messages pass by value. Data messages are copied at send, as encoding would; control messages are shared, and in some seeds frozen,
// so that whoever changes one after sending it is caught. In other seeds every message goes through the real codec.
import { decodeMessage, encodeMessage } from '@coppice/protocol'
import type { LinkKind, Message, Ops, TextPort } from '@coppice/protocol'

export type PassMode = 'share' | 'freeze' | 'codec'

/** A message in flight: `open` gives a fresh value at each delivery. */
export interface Parcel {
  readonly bytes: number
  open(): Message
}

export function pack(message: Message, link: LinkKind, mode: PassMode, text: TextPort): Parcel {
  if (mode === 'codec') {
    const encoded = encodeMessage(message, text).slice()
    return { bytes: encoded.length, open: () => decodeMessage(encoded.slice(), link, text) }
  }
  const copy = copyData(message)
  if (copy === undefined) {
    if (mode === 'freeze') deepFreeze(message)
    return { bytes: 200, open: () => message }
  }
  return { bytes: copy.bytes, open: () => copyData(copy.message)!.message }
}

function copyOps(ops: Ops): Ops {
  return { buffer: ops.buffer.slice(ops.start, ops.end), start: 0, end: ops.end - ops.start }
}

/** A copy of a data message with its own bytes; undefined for a control message. */
function copyData(message: Message): { message: Message; bytes: number } | undefined {
  switch (message.kind) {
    case 'requests':
    case 'reads': {
      const ops = copyOps(message.ops)
      return { message: { ...message, ops }, bytes: 40 + ops.end }
    }
    case 'replies':
    case 'readReplies': {
      const replies = copyOps(message.replies)
      return { message: { ...message, replies }, bytes: 40 + replies.end }
    }
    case 'register':
    case 'registered':
      return { message: { ...message, nonce: message.nonce.slice() }, bytes: 30 }
    case 'append':
      return { message: { ...message, record: message.record.slice() }, bytes: 30 + message.record.length }
    case 'logChunk':
      return { message: { ...message, records: message.records.slice() }, bytes: 40 + message.records.length }
    case 'snapshotChunk':
      return { message: { ...message, bytes: message.bytes.slice() }, bytes: 60 + message.bytes.length }
    default:
      return undefined
  }
}

/** Overwrites the borrowed bytes of a message after the step it was lent for, so that a kept view shows. */
export function poison(message: Message): void {
  if (message.kind === 'requests' || message.kind === 'reads') message.ops.buffer.fill(0xaa)
  else if (message.kind === 'replies' || message.kind === 'readReplies') message.replies.buffer.fill(0xaa)
}

export function deepFreeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value) || value instanceof Uint8Array) return
  Object.freeze(value)
  for (const key in value) deepFreeze((value as Record<string, unknown>)[key])
}
