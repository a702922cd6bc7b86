// The table of locks against a naive model: queue order, grants, fences, lapses, sessions that end, captures in between.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Writer } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import {
  CHANGE_LOCK_FREE,
  CHANGE_LOCK_GRANTED,
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  CHANGE_LOCK_QUEUED,
  decodeAcquireReply,
  decodeDone,
  decodeLock,
  encodeAcquire,
  encodeRelease,
  encodeRenew,
  GRANT_MS,
  ParsedOperation,
} from '@coppice/vkv/internal'
import { Agenda, AGENDA_LOCK, readOrdered } from '../../../packages/vkv/src/core/agenda.js'
import { TableCapture, TableLoader } from '../../../packages/vkv/src/core/capture.js'
import { LockTable } from '../../../packages/vkv/src/core/lock-table.js'
import { Table } from '../../../packages/vkv/src/core/table.js'
import { TableHash } from '../../../packages/vkv/src/core/table-hash.js'
import { bytes, text } from './machine-help.js'

const KINDS: Record<number, string> = {
  [CHANGE_LOCK_HELD]: 'held',
  [CHANGE_LOCK_GRANTED]: 'granted',
  [CHANGE_LOCK_FREE]: 'free',
  [CHANGE_LOCK_QUEUED]: 'queued',
  [CHANGE_LOCK_LEFT]: 'left',
}

/** Lock table, queue and agenda as the machine has them, with sessions that live until they are told to end. */
class Driven {
  tables = [new Table(), new Table(), new Table()] as const
  agenda = new Agenda(this.tables[2])
  readonly sessions = new Set<number>()
  locks: LockTable
  readonly #maxWaiters: number | undefined
  index = 0
  now = 0
  told: string[] = []
  readonly #op = new ParsedOperation()
  readonly #out = new Writer()

  constructor(maxWaiters?: number) {
    this.#maxWaiters = maxWaiters
    this.locks = this.#over()
  }

  #over(): LockTable {
    const [locks, waiting] = this.tables
    return new LockTable(locks, waiting, this.agenda, (session) => this.sessions.has(session), this.#maxWaiters)
  }

  #at(): LockTable {
    return this.locks.at(this.index, this.now, {
      change: (_stream, kind, topic, _start, topicEnd) => {
        const nameEnd = 2 + topic[0]!
        expect(KINDS[kind]).toBeDefined()
        this.told.push(`${KINDS[kind]} ${text(topic.subarray(2, nameEnd))} ${text(topic.subarray(nameEnd, topicEnd))}`)
      },
    })
  }

  apply(operation: Uint8Array): Uint8Array {
    expect(this.#op.parse(operation, 0, operation.length)).toBe(undefined)
    this.index++
    this.told = []
    this.#out.reset()
    const locks = this.#at()
    if (operation[0] === 4) locks.acquire(this.#op, operation, this.#out)
    else if (operation[0] === 5) locks.renew(this.#op, operation, this.#out)
    else locks.release(this.#op, operation, this.#out)
    return this.#out.take()
  }

  tick(): void {
    this.index++
    this.told = []
    const locks = this.#at()
    for (;;) {
      const due = this.agenda.takeDue(this.index, this.now)
      if (due === undefined) return
      if (due.kind === AGENDA_LOCK) locks.endDue(due.name.slice(0, due.nameEnd))
      else locks.sweep(readOrdered(due.name, 0))
    }
  }

  endSession(session: number): void {
    this.index++
    this.told = []
    this.sessions.delete(session)
    this.#at().endSession(this.index, session)
  }

  /** The state goes through a capture into fresh tables, as to a new member. */
  reload(): void {
    const before = this.hash()
    const capture = new TableCapture(this.tables, { lastIndex: this.index, elapsedMs: this.now, onceBytes: 0 })
    const tables = [new Table(), new Table(), new Table()] as const
    const loader = new TableLoader(tables, () => undefined)
    for (let piece = capture.next(200); piece !== undefined; piece = capture.next(200)) loader.add(piece.slice())
    loader.finish()
    this.tables = tables
    this.agenda = new Agenda(tables[2])
    this.locks = this.#over()
    expect(this.hash()).toBe(before)
  }

  hash(): string {
    const hash = new TableHash(this.tables, this.index, nodeBytes)
    while (hash.next());
    return hash.value
  }
}

interface ModelLock {
  owner: string
  fence: number
  expiry: number
  granted: boolean
  inherited: boolean
  queue: { owner: string; session: number; place: number }[]
}

class Model {
  readonly locks = new Map<string, ModelLock>()
  readonly sessions = new Set<number>()
  index = 0
  now = 0
  told: string[] = []

  lock(name: string): ModelLock {
    let lock = this.locks.get(name)
    if (lock === undefined) {
      lock = { owner: '', fence: 0, expiry: 0, granted: false, inherited: false, queue: [] }
      this.locks.set(name, lock)
    }
    if (lock.fence !== 0 && this.now >= lock.expiry) this.pass(name, lock, lock.granted ? lock.inherited : true)
    return lock
  }

  pass(name: string, lock: ModelLock, inherited: boolean): void {
    const former = lock.owner
    lock.queue = lock.queue.filter((w) => this.sessions.has(w.session))
    const next = lock.queue.shift()
    lock.inherited = inherited
    lock.granted = next !== undefined
    lock.owner = next?.owner ?? ''
    lock.fence = next === undefined ? 0 : this.index
    lock.expiry = this.now + GRANT_MS
    this.told.push(next === undefined ? `free ${name} ${former}` : `granted ${name} ${next.owner}`)
  }

  acquire(name: string, owner: string, ttl: number, session: number): object {
    const lock = this.lock(name)
    if (lock.fence !== 0 && lock.owner === owner) {
      const taken = lock.inherited ? 'expired' : lock.granted ? 'free' : 'own'
      this.confirm(name, lock, ttl)
      return { kind: 'acquired', fence: lock.fence, taken }
    }
    if (lock.fence === 0) {
      Object.assign(lock, { owner, fence: this.index, expiry: this.now + ttl, granted: false })
      this.told.push(`held ${name} ${owner}`)
      return { kind: 'acquired', fence: this.index, taken: lock.inherited ? 'expired' : 'free' }
    }
    const { fence } = lock
    if (session === 0) return { kind: 'busy', fence }
    if (!this.sessions.has(session)) return { kind: 'noSession', fence }
    let place = lock.queue.find((w) => w.owner === owner && w.session === session)?.place
    if (place === undefined) {
      lock.queue.push({ owner, session, place: (place = this.index) })
      this.told.push(`queued ${name} ${owner}`)
    }
    return { kind: 'queued', fence, place, index: this.index }
  }

  confirm(name: string, lock: ModelLock, ttl: number): void {
    if (lock.granted) this.told.push(`held ${name} ${lock.owner}`)
    lock.expiry = lock.granted ? this.now + ttl : Math.max(lock.expiry, this.now + ttl)
    lock.granted = false
  }

  renew(name: string, owner: string, fence: number, ttl: number): boolean {
    const lock = this.lock(name)
    if (lock.fence === 0 || lock.fence !== fence || lock.owner !== owner) return false
    if (ttl === 0) this.pass(name, lock, lock.granted ? lock.inherited : true)
    else this.confirm(name, lock, ttl)
    return true
  }

  release(name: string, owner: string, fence: number, session: number): boolean {
    const lock = this.lock(name)
    if (lock.fence !== 0 && lock.owner === owner && (fence === 0 || fence === lock.fence)) {
      this.pass(name, lock, lock.inherited && (fence === 0 || lock.granted))
      return true
    }
    this.leave(name, lock, (w) => w.owner === owner && w.session === session)
    return false
  }

  leave(name: string, lock: ModelLock, goes: (w: { owner: string; session: number }) => boolean): void {
    for (const w of lock.queue) if (goes(w)) this.told.push(`left ${name} ${w.owner}`)
    lock.queue = lock.queue.filter((w) => !goes(w))
  }

  tick(): void {
    for (const name of this.locks.keys()) this.lock(name)
  }
}

const name = fc.constantFrom('l', 'lo', 'other')
const owner = fc.constantFrom('a', 'b', 'c', 'ab', 'bc')
const session = fc.constantFrom(0, 1, 2, 3)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('acquire' as const), name, owner, session }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('renew' as const), name, owner, ttl: fc.constantFrom(0, 500) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('release' as const), name, owner, session, sure: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), session: fc.constantFrom(1, 2, 3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const) }) },
)

test('locks_randomSteps_agreeWithModel', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const d = new Driven()
      const m = new Model()
      for (const s of [1, 2, 3]) {
        d.sessions.add(s)
        m.sessions.add(s)
      }
      const fences = new Map<string, number>()
      for (const s of steps) {
        m.index = d.index + 1
        m.told = []
        d.told = []
        switch (s.do) {
          case 'acquire': {
            const reply = d.apply(encodeAcquire(bytes(s.name), bytes(s.owner), 1_000, s.session))
            expect(decodeAcquireReply(reply)).toEqual(m.acquire(s.name, s.owner, 1_000, s.session))
            break
          }
          case 'renew': {
            const { fence } = m.lock(s.name)
            m.told = []
            const reply = d.apply(encodeRenew(bytes(s.name), bytes(s.owner), fence, s.ttl))
            expect(decodeDone(reply)).toBe(m.renew(s.name, s.owner, fence, s.ttl))
            break
          }
          case 'release': {
            const fence = s.sure ? (m.locks.get(s.name)?.fence ?? 0) : 0
            const reply = d.apply(encodeRelease(bytes(s.name), bytes(s.owner), fence, s.session))
            expect(decodeDone(reply)).toBe(m.release(s.name, s.owner, fence, s.session))
            break
          }
          case 'pass':
            d.now = m.now += s.ms
            d.tick()
            m.tick()
            break
          case 'end':
            m.sessions.delete(s.session)
            for (const [of, lock] of m.locks) m.leave(of, lock, (w) => w.session === s.session)
            if (d.sessions.has(s.session)) d.endSession(s.session)
            d.tick()
            m.index = d.index
            break
          case 'reload':
            d.reload()
            break
        }
        expect(d.told.sort()).toEqual(m.told.sort())
        for (const [of, lock] of m.locks) {
          const handle = d.tables[0].find(bytes(of), 0, of.length)
          const record = handle === 0 ? undefined : decodeLock(d.tables[0].valueOf(handle))
          expect(record?.fence ?? 0).toBe(lock.fence)
          expect(record?.waiters ?? 0).toBe(lock.queue.length)
          expect(record?.inherited ?? false).toBe(lock.inherited)
          if (lock.fence !== 0) expect(record).toMatchObject({ expiry: lock.expiry, granted: lock.granted })
          // Fences of a lock only grow.
          expect(lock.fence === 0 || lock.fence >= (fences.get(of) ?? 0)).toBe(true)
          if (lock.fence !== 0) fences.set(of, lock.fence)
        }
      }
    }),
    { numRuns: 400 },
  )
})

test('queue_full_refusedUntilAPlaceIsFree', () => {
  const d = new Driven(3)
  d.sessions.add(1)
  const acquire = (lock: string, me: string) =>
    decodeAcquireReply(d.apply(encodeAcquire(bytes(lock), bytes(me), 1_000, 1))).kind
  expect(acquire('l', 'holder')).toBe('acquired')
  expect(acquire('other', 'holder')).toBe('acquired')
  expect(['a', 'b', 'c'].map((me) => acquire('l', me))).toEqual(['queued', 'queued', 'queued'])
  // All locks together have so many waiters; who has a place keeps it.
  expect(acquire('other', 'd')).toBe('full')
  expect(acquire('l', 'a')).toBe('queued')
  d.apply(encodeRelease(bytes('l'), bytes('b'), 0, 1))
  expect(acquire('other', 'd')).toBe('queued')
})
