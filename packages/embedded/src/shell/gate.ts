// Keeps back what comes over TCP for a server that is paused, as the kernel does for a process that is stopped.
import { MAX_SEND_QUEUE_BYTES } from '@coppice/protocol'
import type { Channel, ChannelOwner } from '@coppice/runtime'

export class Gate {
  private readonly maxBytes: number
  private isShut = false
  private held: (() => void)[] = []
  private heldBytes = 0

  /** `maxBytes`: kept while it is shut, at the most; whoever sends more is cut off. */
  constructor(maxBytes = MAX_SEND_QUEUE_BYTES) {
    this.maxBytes = maxBytes
  }

  shut(): void {
    this.isShut = true
  }

  open(): void {
    this.isShut = false
    const { held } = this
    this.held = []
    this.heldBytes = 0
    for (const run of held) run()
  }

  /** The same channel, behind this gate. */
  guard(channel: Channel): Channel {
    return new GuardedChannel(channel, this)
  }

  /** Runs it now, or once the gate is open. False: there is no room to keep so many bytes. */
  pass(bytes: number, run: () => void): boolean {
    if (!this.isShut) run()
    else {
      if (this.heldBytes + bytes > this.maxBytes) return false
      this.heldBytes += bytes
      this.held.push(run)
    }
    return true
  }

  get shuts(): boolean {
    return this.isShut
  }
}

class GuardedChannel implements Channel {
  private readonly channel: Channel
  private readonly gate: Gate

  constructor(channel: Channel, gate: Gate) {
    this.channel = channel
    this.gate = gate
  }

  set owner(owner: ChannelOwner) {
    const { channel, gate } = this
    channel.owner = {
      onOpen: () => owner.onOpen(),
      onFrame: (frame, isBinary) => {
        // What waits must not lie in the buffer that the next read overwrites.
        const own = gate.shuts ? frame.slice() : frame
        if (!gate.pass(own.length, () => owner.onFrame(own, isBinary))) channel.cut()
      },
      onDrain: () => gate.pass(0, () => owner.onDrain()),
      onError: (reason) => owner.onError(reason),
      onClose: (code, reason) => gate.pass(0, () => owner.onClose(code, reason)),
    }
  }

  get bufferedBytes(): number {
    return this.channel.bufferedBytes
  }

  send(frame: Uint8Array, sent?: () => void): void {
    this.channel.send(frame, sent)
  }

  cork(): void {
    this.channel.cork()
  }

  uncork(): void {
    this.channel.uncork()
  }

  close(code: number, reason: string): void {
    this.channel.close(code, reason)
  }

  cut(): void {
    this.channel.cut()
  }
}
