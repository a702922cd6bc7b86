// What portable client code (clerk, locks, cache, bank) needs from its surroundings. Production gives real sockets and clocks,
// the simulator its own; the client code cannot tell.
import type { Millis } from './ids.js'

/** Monotonic time and timers. */
export interface Clock {
  /** Milliseconds of this process's monotonic clock (fractions allowed). */
  now(): Millis
  /** Calls `run` once after `delayMs`; the answer cancels it. Timers never keep the process alive by themselves. */
  after(delayMs: number, run: () => void): () => void
  /** Calls `run` once when the current turn's inputs are consumed, before waiting for I/O: where batches are closed. */
  endOfTurn(run: () => void): void
}

/** Uniform numbers in [0, 1). */
export type Random = () => number

/** The part of AbortSignal the client code uses, so that it needs no DOM types. */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Bytes and strings, injected so that the real one is native (Buffer) and cores stay free of Node. */
export interface BytesPort {
  /** One char per byte. Order of such strings is the order of the bytes. */
  latin1(bytes: Uint8Array, start: number, end: number): string
  /** Writes a latin1 string; returns the number of bytes. */
  writeLatin1(target: Uint8Array, text: string, offset: number): number
  utf8(bytes: Uint8Array, start: number, end: number): string
  writeUtf8(target: Uint8Array, text: string, offset: number): number
  utf8Length(text: string): number
  crc32(bytes: Uint8Array, start: number, end: number): number
}

/**
 * A client's link to one server, made by `Dialer.dial`. Messages to it are queued until it is open; `send` after close is
 * dropped. `onMessage` and `onClose` are set once, before the first turn ends.
 */
export interface ClientLink<Out, In> {
  send(message: Out): void
  /** Bytes accepted by `send` and not yet handed to the kernel: what backpressure looks at. */
  readonly queuedBytes: number
  /** Bytes received so far, pieces of unfinished messages included: how a large answer on its way differs from silence. Optional. */
  readonly receivedBytes?: number
  readonly open: boolean
  onOpen: (() => void) | undefined
  onMessage: ((message: In) => void) | undefined
  /** Called once. `reason` is plain words; `refusal` is the code with which the server's hello refused us, if it did. */
  onClose: ((reason: string, refusal?: string) => void) | undefined
  close(): void
}
/** Makes links to servers. */
export interface Dialer<Out, In> {
  /** Begins to connect; failures come as `onClose`. Reconnecting is the caller's affair (with jitter). */
  dial(address: string): ClientLink<Out, In>
}
