// The exactly-once table (PROTOCOL 6): clerks by id and by nonce. Part of the replicated state: changed only by applied entries,
// carried by every checkpoint. A capture gives it out clerk by clerk while entries go on being applied.
import { NONCE_BYTES, Reader, Writer } from '@coppice/protocol'
import type { BytesPort, ClerkId, Index, Millis } from '@coppice/protocol'
import { ClerkSession } from './clerk-session.js'

/**
 * What is remembered of all clerks.
 * @internal
 */
export class ClerkTable {
  readonly #bytes: BytesPort
  readonly #byId = new Map<ClerkId, ClerkSession>()
  readonly #idByNonce = new Map<string, ClerkId>()
  #capture: TableCapture | undefined
  #captures = 0

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
  }

  get(clerkId: ClerkId): ClerkSession | undefined {
    return this.#byId.get(clerkId)
  }

  /** The clerk registered with the nonce at buffer[start …]. */
  registeredAs(buffer: Uint8Array, start: number): ClerkSession | undefined {
    const id = this.#idByNonce.get(this.#bytes.latin1(buffer, start, start + NONCE_BYTES))
    return id === undefined ? undefined : this.#byId.get(id)
  }

  sessions(): Iterable<ClerkSession> {
    return this.#byId.values()
  }

  /** Register: a repeated nonce keeps its id. */
  register(index: Index, elapsedMs: Millis, buffer: Uint8Array, nonceStart: number): void {
    const known = this.registeredAs(buffer, nonceStart)
    if (known !== undefined) {
      this.willChange(known)
      known.lastSeenMs = elapsedMs
      return
    }
    const nonce = this.#bytes.latin1(buffer, nonceStart, nonceStart + NONCE_BYTES)
    this.#insert(new ClerkSession(index, nonce, elapsedMs))
  }

  touch(clerkId: ClerkId, elapsedMs: Millis): void {
    const session = this.#byId.get(clerkId)
    if (session === undefined) return
    this.willChange(session)
    session.lastSeenMs = elapsedMs
  }

  /** Expiry: its ids stay refused for ever, because no Register ever gets this index again. */
  remove(clerkId: ClerkId): void {
    const session = this.#byId.get(clerkId)
    if (session === undefined) return
    this.willChange(session)
    this.#byId.delete(clerkId)
    this.#idByNonce.delete(session.nonce)
  }

  /** Must be called before a session changes: a running capture takes it as it was. */
  willChange(session: ClerkSession): void {
    if (this.#capture !== undefined) this.#capture.save(session)
  }

  /** Begins a capture of the table as it is after all entries below `end`. One at a time. */
  capture(end: Index): TableCapture {
    this.#captures++
    const ended = (): void => {
      this.#capture = undefined
    }
    this.#capture = new TableCapture(this.#captures, end, [...this.#byId.values()], this.#bytes, ended)
    return this.#capture
  }

  /** Loads one piece of a capture into a table that was empty before the first. */
  load(piece: Uint8Array): void {
    const r = new Reader(piece)
    const latin1 = this.#bytes.latin1.bind(this.#bytes)
    while (r.at < r.end) this.#insert(ClerkSession.read(r, latin1))
  }

  /** Hash of the whole table: equal at members at one index (I9). A sum, so that no order of clerks matters. */
  hash(): string {
    const w = new Writer(1024)
    let sum = 0
    let mixed = 0
    for (const session of this.#byId.values()) {
      w.reset()
      session.write(w, nonceBytes(session, this.#bytes))
      const crc = this.#bytes.crc32(w.buffer, 0, w.length)
      sum = (sum + crc) >>> 0
      mixed = (mixed + Math.imul(crc ^ (crc >>> 15), 0x85ebca6b)) >>> 0
    }
    return `${this.#byId.size}-${sum.toString(16)}${mixed.toString(16)}`
  }

  #insert(session: ClerkSession): void {
    this.#byId.set(session.clerkId, session)
    this.#idByNonce.set(session.nonce, session.clerkId)
  }
}

function nonceBytes(session: ClerkSession, bytes: BytesPort): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  bytes.writeLatin1(nonce, session.nonce, 0)
  return nonce
}

/** The table at one moment, given out in pieces; a session that changes meanwhile is taken first. */
export class TableCapture {
  readonly #number: number
  readonly #end: Index
  readonly #sessions: readonly ClerkSession[]
  readonly #bytes: BytesPort
  readonly #ended: () => void
  readonly #out = new Writer(4096)
  #next = 0

  constructor(number: number, end: Index, sessions: readonly ClerkSession[], bytes: BytesPort, ended: () => void) {
    this.#number = number
    this.#end = end
    this.#sessions = sessions
    this.#bytes = bytes
    this.#ended = ended
  }

  /** Takes a session unless it was taken before or was born after the capture began. */
  save(session: ClerkSession): void {
    if (session.capturedIn === this.#number || session.clerkId >= this.#end) return
    session.capturedIn = this.#number
    session.write(this.#out, nonceBytes(session, this.#bytes))
  }

  /** The next piece of about `maxBytes`; undefined at the end. */
  next(maxBytes: number): Uint8Array | undefined {
    while (this.#next < this.#sessions.length && this.#out.length < maxBytes) this.save(this.#sessions[this.#next++]!)
    if (this.#out.length === 0) {
      this.release()
      return undefined
    }
    const piece = this.#out.take()
    this.#out.reset()
    return piece
  }

  release(): void {
    this.#ended()
  }
}
