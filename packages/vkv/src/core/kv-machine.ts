// vKV, the versioned key-value store as a replicated state machine (PROTOCOL 9, Grove §6): key → {value, version}, locks beside
// them. A version is the index of the entry that wrote the value and part of the state.
import type { BytesPort, Index, Millis, Writer } from '@coppice/protocol'
import type { ChangeSink, StateCapture, StateHashing, StateLoader, StateMachine } from '@coppice/replica'
import { Agenda } from './agenda.js'
import { applyTxn, type KeyWriter } from './apply-txn.js'
import { CacheLeases, type LeasedKeys } from './cache-leases.js'
import { cacheOperationProblem, isCacheOperation, prolongsHolder } from './cache-operations.js'
import { TableCapture, TableLoader } from './capture.js'
import { CHANGE_DELETE, CHANGE_PUT, STREAM_KEYS } from './changes.js'
import { endDue, endSession } from './endings.js'
import { IdempotencyTable } from './idempotency-table.js'
import { Lifetimes } from './lifetimes.js'
import { brokenGuard, writeBroken } from './lock-record.js'
import { LockTable } from './lock-table.js'
import {
  OP_ACQUIRE,
  OP_COND_PUT,
  OP_DELETE,
  OP_PUT,
  OP_RELEASE,
  OP_RENEW,
  ParsedOperation,
  readsTime,
} from './operations.js'
import {
  QUERY_COUNT,
  QUERY_GET,
  QUERY_GET_MANY,
  QUERY_RANGE,
  queryProblem,
  TABLE_KEYS,
  TABLE_LOCKS,
} from './queries.js'
import { readCount, readRange } from './range.js'
import { readMany } from './read-many.js'
import {
  FULL_IDEMPOTENCY_KEYS,
  FULL_SESSION_KEYS,
  refuseEnded,
  refuseFull,
  WRITE_FENCED,
  WRITE_MISMATCH,
  WRITE_OK,
  WRITE_REUSED,
} from './replies.js'
import { OP_END_SESSION, OP_KEEP_ALIVE, OP_OPEN_SESSION } from './session-operations.js'
import { SessionTable } from './session-table.js'
import { Table } from './table.js'
import { TableHash } from './table-hash.js'
import { OP_TXN, OP_TXN_TIMED } from './txn.js'

/** Everything that is replicated but the marks. */
class KvState {
  readonly keys: Table
  readonly locks: LockTable
  readonly agenda: Agenda
  readonly sessions: SessionTable
  readonly lifetimes: Lifetimes
  readonly once: IdempotencyTable
  readonly caches: CacheLeases
  /** All tables, in the order in which they are captured. */
  readonly tables: readonly Table[]

  constructor(bytes: BytesPort, leased: LeasedKeys) {
    const table = (): Table => new Table()
    this.keys = table()
    this.agenda = new Agenda(table())
    this.sessions = new SessionTable(table(), table(), this.agenda)
    this.locks = new LockTable(table(), table(), this.agenda, (session) => this.sessions.has(session))
    this.lifetimes = new Lifetimes(table(), this.agenda, this.sessions)
    this.once = new IdempotencyTable(table(), this.agenda, bytes)
    this.caches = new CacheLeases(this.agenda, leased)
    const { keys, locks, agenda, sessions, lifetimes, once, caches } = this
    const ending = [agenda.table, sessions.table, sessions.bound, lifetimes.table, once.table]
    this.tables = [keys, locks.table, locks.waiting, ...ending, ...caches.tables]
  }
}

/** The store as a state machine: keys with values and versions, and locks. */
export class KvMachine implements StateMachine, LeasedKeys, KeyWriter {
  readonly digest = 'vkv/3'
  readonly #bytes: BytesPort
  readonly #op = new ParsedOperation()
  #state: KvState
  #keys: Table
  #locks: LockTable
  #lifetimes: Lifetimes
  #caches: CacheLeases
  #lastIndex: Index = 0
  #elapsedMs: Millis = 0

  constructor(bytes: BytesPort) {
    this.#bytes = bytes
    this.#state = new KvState(bytes, this)
    this.#keys = this.#state.keys
    this.#locks = this.#state.locks
    this.#lifetimes = this.#state.lifetimes
    this.#caches = this.#state.caches
  }

  /** @internal */
  get keys(): Table {
    return this.#keys
  }
  /** @internal */
  get locks(): Table {
    return this.#locks.table
  }
  /** @internal */
  get lifetimes(): Lifetimes {
    return this.#lifetimes
  }
  /** @internal */
  get sessions(): SessionTable {
    return this.#state.sessions
  }
  /** @internal */
  get caches(): CacheLeases {
    return this.#caches
  }
  /** The log's time, ms. */
  get elapsedMs(): Millis {
    return this.#elapsedMs
  }

  /** Number of keys, of locks that are held or waited for, of sessions, and of idempotency keys. */
  get counts(): { readonly keys: number; readonly locks: number; readonly sessions: number; readonly once: number } {
    const { keys, locks, sessions, once } = this.#state
    return { keys: keys.count, locks: locks.table.count, sessions: sessions.table.count, once: once.table.count }
  }

  validateOperation(buffer: Uint8Array, start: number, end: number): string | undefined {
    if (start < end && isCacheOperation(buffer[start]!)) return cacheOperationProblem(buffer, start, end)
    return this.#op.parse(buffer, start, end)
  }

  readsTime(buffer: Uint8Array, start: number): boolean {
    return readsTime(buffer, start) || prolongsHolder(buffer[start]!)
  }

  validateQuery(buffer: Uint8Array, start: number, end: number): string | undefined {
    return queryProblem(buffer, start, end)
  }

  apply(
    index: Index,
    elapsedMs: Millis,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: Writer,
    changes: ChangeSink,
  ): void {
    this.#lastIndex = index
    this.#elapsedMs = Math.max(this.#elapsedMs, Math.floor(elapsedMs))
    if (start < end && isCacheOperation(buffer[start]!)) {
      if (cacheOperationProblem(buffer, start, end) === undefined)
        this.#caches.apply(index, this.#elapsedMs, buffer, start, end, out)
      return
    }
    const op = this.#op
    // Entries were validated before they got an index (R5); what is malformed all the same changes nothing, everywhere alike.
    if (op.parse(buffer, start, end) !== undefined) return
    if (op.onceEnd > op.onceStart) return this.#once(index, buffer, out, changes)
    switch (op.kind) {
      case OP_PUT:
      case OP_DELETE:
      case OP_COND_PUT:
        return this.#write(index, buffer, out, changes)
      case OP_TXN:
      case OP_TXN_TIMED:
        applyTxn(op.txn, index, buffer, this, out, changes)
        return
      case OP_ACQUIRE:
        return this.#locks.at(index, this.#elapsedMs, changes).acquire(op, buffer, out)
      case OP_RENEW:
        return this.#locks.at(index, this.#elapsedMs, changes).renew(op, buffer, out)
      case OP_RELEASE:
        return this.#locks.at(index, this.#elapsedMs, changes).release(op, buffer, out)
      case OP_OPEN_SESSION:
        return this.#state.sessions.open(index, this.#elapsedMs, op, buffer, out)
      case OP_KEEP_ALIVE:
        return this.#state.sessions.keepAlive(index, this.#elapsedMs, op, buffer, out)
      case OP_END_SESSION:
        return out.u8(endSession(this.#state, index, op.session, op.why, changes) < 0 ? 0 : 1)
    }
  }

  get dueAt(): Millis {
    return this.#state.agenda.dueAt
  }

  tick(index: Index, elapsedMs: Millis, changes: ChangeSink): void {
    this.#lastIndex = index
    this.#elapsedMs = Math.max(this.#elapsedMs, Math.floor(elapsedMs))
    this.#locks.at(index, this.#elapsedMs, changes)
    endDue(this.#state, index, this.#elapsedMs, changes)
  }

  /** A write or a transaction under an idempotency key: done once, and answered as then for as long as that is remembered. */
  #once(index: Index, b: Uint8Array, out: Writer, changes: ChangeSink): void {
    const { once } = this.#state
    const op = this.#op
    switch (once.find(op, b)) {
      case 'same':
        return once.writeReply(out)
      case 'other':
        return out.u8(WRITE_REUSED)
      case 'new': {
        // An answer that could not be kept would be no promise.
        if (once.full) return refuseFull(out, FULL_IDEMPOTENCY_KEYS)
        const start = out.length
        let done: boolean
        if (op.kind === OP_TXN || op.kind === OP_TXN_TIMED) done = applyTxn(op.txn, index, b, this, out, changes)
        else {
          this.#write(index, b, out, changes)
          done = out.buffer[start] === WRITE_OK
        }
        if (done) once.keep(index, this.#elapsedMs, op, b, out.buffer, start, out.length)
      }
    }
  }

  #write(index: Index, b: Uint8Array, out: Writer, changes: ChangeSink): void {
    const op = this.#op
    const keys = this.#keys
    // The fences are checked in the entry that writes: a stale holder cannot come between.
    if (op.guards > 0) {
      const broken = brokenGuard(this.#locks.table, b, op.guardsAt, op.guards)
      if (broken >= 0) {
        out.u8(WRITE_FENCED)
        return writeBroken(this.#locks.table, b, op.guardsAt, broken, out)
      }
    }
    const handle = keys.find(b, op.keyStart, op.keyEnd)
    if (op.ifVersion >= 0 && (handle === 0 ? 0 : keys.versionOf(handle)) !== op.ifVersion) {
      return this.#refuseMismatch(handle, out)
    }
    if (op.kind === OP_COND_PUT) {
      const matches = op.hasExpected
        ? handle !== 0 && keys.valueEquals(handle, b, op.expectedStart, op.expectedEnd)
        : handle === 0
      if (!matches) return this.#refuseMismatch(handle, out)
    }
    const { session, keyStart, keyEnd } = op
    if (session !== 0) {
      const { sessions } = this.#state
      // Bound to a session that has ended it would never end.
      if (!sessions.has(session)) return refuseEnded(out, session)
      const bound = this.#lifetimes.sessionOf(b, keyStart, keyEnd)
      if (bound !== session && !sessions.hasRoom(session, 1)) return refuseFull(out, FULL_SESSION_KEYS)
    }
    if (op.hasNext || handle !== 0) {
      if (!this.#caches.idle && this.#caches.blocks(index, this.#elapsedMs, b, keyStart, keyEnd, out, changes)) return
    }
    if (op.hasNext) {
      this.putKey(handle, index, b, keyStart, keyEnd, op.nextStart, op.nextEnd, op.ttlMs, session, changes)
    } else if (handle !== 0) this.removeKey(handle, index, b, keyStart, keyEnd, changes)
    out.u8(WRITE_OK)
    out.u53(index)
    out.u8(handle === 0 ? 0 : 1)
  }

  putKey(
    handle: number,
    index: Index,
    b: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    ttlMs: Millis,
    session: Index,
    changes: ChangeSink,
  ): void {
    this.#keys.put(handle, index, b, keyStart, keyEnd, b, valueStart, valueEnd)
    // What it had before of a ttl or a session is over, whatever the write names now.
    if (ttlMs !== 0 || session !== 0 || this.#lifetimes.table.count > 0) {
      this.#lifetimes.set(index, this.#elapsedMs, ttlMs, session, b, keyStart, keyEnd)
    }
    changes.change(STREAM_KEYS, CHANGE_PUT, b, keyStart, keyEnd, b, valueStart, valueEnd)
  }

  removeKey(handle: number, index: Index, b: Uint8Array, keyStart: number, keyEnd: number, changes: ChangeSink): void {
    this.#keys.remove(handle, index)
    if (this.#lifetimes.table.count > 0) this.#lifetimes.remove(index, b, keyStart, keyEnd)
    changes.change(STREAM_KEYS, CHANGE_DELETE, b, keyStart, keyEnd, b, keyEnd, keyEnd)
  }

  #refuseMismatch(handle: number, out: Writer): void {
    out.u8(WRITE_MISMATCH)
    this.#writeFound(handle, out)
  }

  #writeFound(handle: number, out: Writer): void {
    out.u8(handle === 0 ? 0 : 1)
    if (handle === 0) return
    out.u53(this.#keys.versionOf(handle))
    this.#keys.writeValue(handle, out)
  }

  answer(b: Uint8Array, start: number, end: number, out: Writer): void {
    this.#writeFound(this.#keys.find(b, start, end), out)
  }

  valueBytes(b: Uint8Array, start: number, end: number): number {
    const handle = this.#keys.find(b, start, end)
    return handle === 0 ? 0 : this.#keys.valueLengthOf(handle)
  }

  restMs(b: Uint8Array, start: number, end: number, now: Millis): number {
    return this.#lifetimes.restMs(b, start, end, now)
  }

  read(buffer: Uint8Array, start: number, end: number, out: Writer): Index {
    switch (buffer[start]) {
      case QUERY_GET: {
        const handle = this.#keys.find(buffer, start + 3, end)
        this.#writeFound(handle, out)
        return handle === 0 ? this.#keys.missingVersion() : this.#keys.versionOf(handle)
      }
      case QUERY_GET_MANY:
        return readMany(this.#keys, this.#locks.table, buffer, start, out)
      case QUERY_RANGE:
        return readRange(this.#tableOf(buffer[start + 1]!), buffer, start, out)
      case QUERY_COUNT:
        readCount(this.#tableOf(buffer[start + 1]!), buffer, start, out)
        // Whatever was inserted or deleted last may have been counted.
        return this.#lastIndex
      default:
        return 0
    }
  }

  #tableOf(table: number): Table {
    const { locks, sessions } = this.#state
    return table === TABLE_KEYS ? this.#keys : table === TABLE_LOCKS ? locks.table : sessions.table
  }

  getState(): StateCapture {
    const { tables, once } = this.#state
    return new TableCapture(tables, {
      lastIndex: this.#lastIndex,
      elapsedMs: this.#elapsedMs,
      onceBytes: once.bytes,
    })
  }

  setState(): StateLoader {
    // The old state is dropped at once, so that two never stand in memory together.
    const state = new KvState(this.#bytes, this)
    this.#state = state
    this.#keys = state.keys
    this.#locks = state.locks
    this.#lifetimes = state.lifetimes
    this.#caches = state.caches
    return new TableLoader(state.tables, (marks) => {
      this.#lastIndex = marks.lastIndex
      this.#elapsedMs = marks.elapsedMs
      state.once.bytes = marks.onceBytes
      state.agenda.loaded()
    })
  }

  hashing(): StateHashing {
    return new TableHash(this.#state.tables, this.#lastIndex, this.#bytes)
  }

  hash(): string {
    const hashing = this.hashing()
    while (hashing.next());
    return hashing.value
  }
}
