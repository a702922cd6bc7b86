// What a link stands on: one connection that carries whole frames, both ways, in order. Over TCP it is a WebSocket (ws-channel.ts).

/** One connection below a link: whole frames, both ways, in order. */
export interface Channel {
  /** Set by the link, before the turn ends in which it got the channel. */
  owner: ChannelOwner
  /** Bytes sent and not yet taken by the kernel. */
  readonly bufferedBytes: number
  /** Sends one frame, which nobody changes afterwards. `sent` is called when the kernel has it. */
  send(frame: Uint8Array, sent?: () => void): void
  /** What is sent from here on leaves with `uncork`, in one piece. */
  cork(): void
  uncork(): void
  /** Ends in order: what was sent still arrives, and what the other end sent before it answers is still heard. */
  close(code: number, reason: string): void
  /** Ends at once. */
  cut(): void
}

/** Who hears of a channel. */
export interface ChannelOwner {
  /** Of a dialed channel: frames may be sent. An accepted one is open from the beginning. */
  onOpen(): void
  /** The frame is the owner's if it is one that whoever gets it may keep (`isUsedAtOnce`), else it is lent for the call. */
  onFrame(frame: Uint8Array, isBinary: boolean): void
  /** The kernel has taken what was buffered. */
  onDrain(): void
  /** Why `onClose` follows. */
  onError(reason: string): void
  /** Once; nothing comes afterwards. */
  onClose(code: number, reason: string): void
}

/** Begins to connect; what goes wrong comes as `onError` and `onClose`. Throws for what is not an address. */
export type Dial = (address: string) => Channel

/** Somebody who accepts connections. */
export interface Listener {
  /** host:port as bound. */
  readonly address: string
  close(): Promise<void>
}

/** How a server reaches others and is reached. */
export interface Transport {
  readonly dial: Dial
  /** Gives every connection to `onChannel`, with words for whom it comes from. Rejects with a StartupError naming a port that is taken. */
  listen(address: string, onChannel: (channel: Channel, from: string) => void): Promise<Listener>
}
