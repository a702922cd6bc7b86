// The sessions of one connection: opened, kept alive together, listed, revoked (PRODUCT SDK). All of them are kept alive by one operation in a
// third of their ttl, however many they are.
import { EMPTY_BYTES, MAX_KEPT_ALIVE, MAX_SESSION_NAME_BYTES, type Index, type Millis } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { END_REVOKED } from '../core/changes.js'
import { encodeRange, TABLE_SESSIONS } from '../core/queries.js'
import { decodeKeepAliveReply, decodeOpenReply, decodeRangeReply, FULL_SESSIONS } from '../core/replies.js'
import { encodeKeepAlive, encodeOpenSession } from '../core/session-operations.js'
import { decodeSession } from '../core/session-table.js'
import { Budget, type Options } from './budget.js'
import { checkText, invalid } from './codecs.js'
import { durationMs, type Duration } from './duration.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { KvPorts } from './ports.js'
import { endSession, Session } from './session.js'
import { full } from './write-options.js'

/** Of opening a session. */
export interface SessionOptions extends Options {
  /** It ends so long after its process was last heard; kept alive every third of it. Default 10 s, at least 200 ms, at most 24 h. */
  readonly ttl?: Duration | undefined
  /** Up to 128 bytes for those who list sessions. Default: host and process id. */
  readonly name?: string | undefined
}

/** A session as the store knows it. */
export interface SessionInfo {
  readonly id: Index
  readonly name: string
  readonly ttlMs: Millis
  /** Keys bound to it. */
  readonly keys: number
  /** The log's time at which it ends unless it is kept alive, ms. */
  readonly expiry: Millis
}

const DEFAULT_TTL_MS = 10_000
/** A shorter one would be lost by the first hiccup of a network. */
const MIN_TTL_MS = 200
const MAX_TTL_MS = 24 * 3_600_000
const PAGE = 1_000
/** After a failure it is tried again so soon, or sooner when the ttl is short. */
const RETRY_MS = 250
/** An orderly end does not wait longer for sessions that it closes. */
const CLOSE_MS = 1_000

interface Kept {
  readonly session: Session
  /** When it is to be kept alive next. */
  nextAt: Millis
  /** An operation that keeps it alive is under way. */
  busy: boolean
}

const byClerk = new WeakMap<ClerkLike, Sessions>()

/** Those of one connection. */
export function sessionsOf(clerk: ClerkLike, ports: KvPorts): Sessions {
  let sessions = byClerk.get(clerk)
  if (sessions === undefined) byClerk.set(clerk, (sessions = new Sessions(clerk, ports)))
  return sessions
}

/** The sessions of one clerk, kept alive together. */
export class Sessions {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #kept = new Map<Session, Kept>()
  #cancelTimer: () => void = () => undefined
  #timerAt: Millis = Infinity

  constructor(clerk: ClerkLike, ports: KvPorts) {
    this.#clerk = clerk
    this.#ports = ports
  }

  /** Opens a session. LIMIT_REACHED: there are as many as there may be. */
  async open(options: SessionOptions = {}): Promise<Session> {
    checkOptions(options, KNOWN.session, 'session')
    if (options.name !== undefined) checkText(options.name, 'name of a session')
    const ttlMs = Math.ceil(options.ttl === undefined ? DEFAULT_TTL_MS : durationMs(options.ttl, 'ttl'))
    if (!(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS))
      throw invalid(`ttl of ${ttlMs} ms is not between 200 ms and 24 h`)
    const name = this.#ports.text.encode(options.name ?? this.#ports.processName ?? '')
    if (name.length > MAX_SESSION_NAME_BYTES) {
      throw invalid(`name of a session has ${name.length} bytes, above the limit of ${MAX_SESSION_NAME_BYTES}`)
    }
    const budget = new Budget(this.#clerk, this.#ports, options)
    for (;;) {
      const sentAt = this.#clerk.clock.now()
      const id = decodeOpenReply(await this.#clerk.submit(encodeOpenSession(ttlMs, name), budget.next('session')))
      if (id === undefined) throw full(FULL_SESSIONS, 'session', budget.tried)
      const session = new Session(this.#clerk, this.#ports, this, id, ttlMs, sentAt)
      // An answer that took longer than the session lasts is worth nothing.
      if (!session.valid) continue
      const nextAt = sentAt + ttlMs / 3
      this.#kept.set(session, { session, nextAt, busy: false })
      // Looking at all of them for each that is opened would be too much.
      if (nextAt < this.#timerAt) this.#armAt(nextAt)
      return session
    }
  }

  forget(session: Session): void {
    this.#kept.delete(session)
  }

  /** All of the store's sessions, whoever opened them, in the order in which they were opened. */
  async *list(options?: Options): AsyncGenerator<SessionInfo, void, undefined> {
    for (let after = EMPTY_BYTES; ;) {
      const query = encodeRange({ table: TABLE_SESSIONS, prefix: EMPTY_BYTES, after, limit: PAGE })
      const budget = new Budget(this.#clerk, this.#ports, options)
      const page = decodeRangeReply(await this.#clerk.read(query, budget.next('sessions')))
      for (const entry of page.entries) {
        const { id, name, ttlMs, keys, expiry } = decodeSession(entry.key, entry.value)
        yield { id, name: this.#ports.text.decode(name), ttlMs, keys, expiry }
      }
      const last = page.entries[page.entries.length - 1]
      if (!page.more || last === undefined) return
      after = last.key.slice()
    }
  }

  /** Ends anybody's session by its id; answers whether there was one. */
  revoke(id: Index, options?: Options): Promise<boolean> {
    if (!Number.isSafeInteger(id) || id < 1) throw invalid(`${id} is no session's id`)
    return endSession(this.#clerk, id, END_REVOKED, new Budget(this.#clerk, this.#ports, options))
  }

  /** The connection is closed in order: its sessions end, as far as the store can be told soon. */
  async close(): Promise<void> {
    this.#cancelTimer()
    const open = [...this.#kept.keys()]
    await Promise.allSettled(
      open.map((session) => session.close({ timeout: Math.min(CLOSE_MS, this.#clerk.timeoutMs) })),
    )
  }

  /** One timer for whatever comes first: the next keep-alive, or the end of a session as far as it is known. */
  #arm(): void {
    let at = Infinity
    for (const { session, nextAt, busy } of this.#kept.values()) {
      at = Math.min(at, session.validUntil, busy ? Infinity : nextAt)
    }
    if (at !== this.#timerAt) this.#armAt(at)
  }

  #armAt(at: Millis): void {
    this.#cancelTimer()
    this.#timerAt = at
    if (at === Infinity) return
    this.#cancelTimer = this.#clerk.clock.after(Math.max(0, at - this.#clerk.clock.now()), () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timerAt = Infinity
    const now = this.#clerk.clock.now()
    const due: Kept[] = []
    let anyDue = false
    for (const kept of this.#kept.values()) {
      const { session, nextAt, busy } = kept
      // Looking at it is what ends it.
      if (!session.valid || busy) continue
      anyDue ||= nextAt <= now
      // Those that come soon come along: after the first round all of one ttl go together.
      if (nextAt <= now + session.ttlMs / 6) due.push(kept)
    }
    if (anyDue) {
      for (let i = 0; i < due.length; i += MAX_KEPT_ALIVE) void this.#keepAlive(due.slice(i, i + MAX_KEPT_ALIVE))
    }
    this.#arm()
  }

  async #keepAlive(list: readonly Kept[]): Promise<void> {
    const sentAt = this.#clerk.clock.now()
    let until = Infinity
    for (const kept of list) {
      kept.busy = true
      until = Math.min(until, kept.session.validUntil)
    }
    try {
      const ids = list.map(({ session }) => session.id)
      const reply = await this.#clerk.submit(encodeKeepAlive(ids), { timeoutMs: Math.max(1, until - sentAt) })
      const ended = new Set(decodeKeepAliveReply(reply))
      for (const kept of list) {
        kept.nextAt = sentAt + kept.session.ttlMs / 3
        if (ended.has(kept.session.id)) kept.session.lose('the store has ended it')
        else kept.session.kept(sentAt)
      }
    } catch {
      // Any failure may pass; what is known of the sessions' ends stands whatever becomes of this.
      const now = this.#clerk.clock.now()
      for (const kept of list) kept.nextAt = now + Math.min(kept.session.ttlMs / 10, RETRY_MS)
    }
    for (const kept of list) kept.busy = false
    this.#arm()
  }
}
