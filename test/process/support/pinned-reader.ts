// A reader that speaks to one replica alone, whatever that one is: no other is asked, no configuration is looked at, and the replica
// gets no hint of what the reader has seen (minEpoch, minIndex). What it answers must be linearizable by the replica's own doing.
import type { ClientLink, ClientToReplica, ReplicaToClient } from '@coppice/protocol'
import { readU32 } from '@coppice/protocol'
import { nodeText, wsDialer } from '@coppice/runtime'
import { decodeGetReply, encodeGet } from '@coppice/vkv/core'

export type PinnedAnswer =
  | { readonly kind: 'value'; readonly value: string | undefined }
  /** Refused or cut off: nothing was answered. */
  | { readonly kind: 'none'; readonly reason: string }

export class PinnedReader {
  readonly address: string
  answered = 0
  private readonly waiting = new Map<number, (answer: PinnedAnswer) => void>()
  private link: ClientLink<ClientToReplica, ReplicaToClient> | undefined
  private opened: Promise<boolean> = Promise.resolve(false)
  private giveUp: () => void = () => undefined
  private nextReadId = 1

  constructor(address: string) {
    this.address = address
  }

  /** Sent at once when connected; answered when the replica does, or when the link ends. */
  async get(key: string): Promise<PinnedAnswer> {
    if (this.link === undefined) this.dial()
    if (!(await this.opened) || this.link === undefined) return { kind: 'none', reason: 'no connection' }
    const query = encodeGet(nodeText.encode(key))
    const buffer = new Uint8Array(4 + query.length)
    new DataView(buffer.buffer).setUint32(0, query.length, true)
    buffer.set(query, 4)
    const firstReadId = this.nextReadId++
    const answer = new Promise<PinnedAnswer>((resolve) => this.waiting.set(firstReadId, resolve))
    const ops = { buffer, start: 0, end: buffer.length }
    this.link.send({ kind: 'reads', firstReadId, minEpoch: 0, minIndex: 0, stale: false, count: 1, ops })
    return answer
  }

  close(): void {
    this.link?.close()
    this.gone('closed')
  }

  private dial(): void {
    const dialer = wsDialer<ClientToReplica, ReplicaToClient>({ linkKind: 'client-replica', clusterId: () => '' })
    const link = dialer.dial(this.address)
    this.link = link
    this.opened = new Promise((resolve) => {
      link.onOpen = () => resolve(true)
      this.giveUp = () => resolve(false)
      link.onClose = (reason) => {
        resolve(false)
        if (this.link === link) this.gone(reason)
      }
    })
    link.onMessage = (message) => this.onMessage(message)
  }

  private onMessage(message: ReplicaToClient): void {
    if (message.kind === 'refused' && message.of === 'reads') {
      for (let i = 0; i < message.count; i++) this.settle(message.firstId + i, { kind: 'none', reason: message.reason })
    } else if (message.kind === 'readReplies') {
      const { buffer, start } = message.replies
      let at = start
      for (let i = 0; i < message.count; i++) {
        const length = readU32(buffer, at + 4)
        const found = decodeGetReply(buffer.subarray(at + 8, at + 8 + length))
        this.answered++
        const value = found === undefined ? undefined : nodeText.decode(found.value)
        this.settle(message.firstReadId + readU32(buffer, at), { kind: 'value', value })
        at += 8 + length
      }
    }
  }

  private settle(readId: number, answer: PinnedAnswer): void {
    const resolve = this.waiting.get(readId)
    this.waiting.delete(readId)
    resolve?.(answer)
  }

  private gone(reason: string): void {
    this.link = undefined
    this.giveUp()
    for (const readId of [...this.waiting.keys()]) this.settle(readId, { kind: 'none', reason })
  }
}
