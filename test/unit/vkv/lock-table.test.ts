// Locks as operations of the log: owner, fence, expiry by the log's time, queue, and the writes they guard.
import { expect, test } from 'vitest'
import {
  decodeManyReply,
  decodeWriteReply,
  encodeCondPut,
  encodeDelete,
  encodeGetMany,
  encodePut,
  type Guard,
} from '@coppice/vkv/core'
import {
  CHANGE_LOCK_HELD,
  CHANGE_LOCK_LEFT,
  decodeAcquireReply,
  decodeDone,
  decodeLockChange,
  decodeOpenReply,
  encodeAcquire,
  encodeOpenSession,
  encodeRelease,
  encodeRenew,
  GRANT_MS,
  STREAM_LOCKS,
} from '@coppice/vkv/internal'
import { bytes, DrivenMachine } from './machine-help.js'

const L = bytes('lock')
const a = bytes('a')
const b = bytes('b')
const c = bytes('c')

class Locks extends DrivenMachine {
  acquire(owner: Uint8Array, session = 0) {
    return decodeAcquireReply(this.apply(encodeAcquire(L, owner, 1_000, session)))
  }
  openSession(ttlMs = 60_000): number {
    return decodeOpenReply(this.apply(encodeOpenSession(ttlMs, bytes('test'))))!
  }
  renew(owner: Uint8Array, fence: number, ttlMs = 1_000) {
    return decodeDone(this.apply(encodeRenew(L, owner, fence, ttlMs)))
  }
  release(owner: Uint8Array, fence: number, session = 0) {
    return decodeDone(this.apply(encodeRelease(L, owner, fence, session)))
  }
  put(fence: number) {
    const guards: Guard[] = [{ lock: L, fence }]
    return decodeWriteReply(this.apply(encodePut(bytes('k'), bytes('v'), { guards }))).kind
  }
}

test('acquire_free_fenceIsTheIndex', () => {
  const m = new Locks()
  m.apply(encodePut(bytes('x'), bytes('y')))
  expect(m.acquire(a)).toEqual({ kind: 'acquired', fence: 2, taken: 'free' })
  expect(m.acquire(b)).toEqual({ kind: 'busy', fence: 2 })
})

test('acquire_againBySameOwner_sameFenceLongerTime', () => {
  const m = new Locks()
  m.acquire(a)
  m.now = 600
  expect(m.acquire(a)).toEqual({ kind: 'acquired', fence: 1, taken: 'own' })
  m.now = 1_500
  expect(m.acquire(b).kind).toBe('busy')
})

test('acquire_expired_newFenceAndOldOneIsStale', () => {
  const m = new Locks()
  m.acquire(a)
  expect(m.put(1)).toBe('ok')
  m.now = 999
  expect(m.acquire(b).kind).toBe('busy')
  m.now = 1_000
  expect(m.acquire(b)).toEqual({ kind: 'acquired', fence: 4, taken: 'expired' })
  expect(m.put(1)).toBe('fenced')
  expect(m.put(4)).toBe('ok')
  expect(m.renew(a, 1)).toBe(false)
  expect(m.release(a, 1)).toBe(false)
  expect(m.put(4)).toBe('ok')
})

test('renew_keepsFence_movesExpiry', () => {
  const m = new Locks()
  m.acquire(a)
  m.now = 900
  expect(m.renew(a, 1)).toBe(true)
  m.now = 1_899
  expect(m.acquire(b).kind).toBe('busy')
  expect(m.put(1)).toBe('ok')
})

test('release_byOwnerOnly', () => {
  const m = new Locks()
  m.acquire(a)
  expect(m.release(b, 1)).toBe(false)
  expect(m.release(a, 9)).toBe(false)
  expect(m.release(a, 1)).toBe(true)
  expect(m.put(1)).toBe('fenced')
  expect(m.machine.counts.locks).toBe(0)
  expect(m.acquire(b)).toMatchObject({ kind: 'acquired', taken: 'free' })
})

test('abandon_nextHolderLearns_alsoAfterUnsureRelease', () => {
  const m = new Locks()
  m.acquire(a)
  expect(m.renew(a, 1, 0)).toBe(true)
  expect(m.acquire(b)).toMatchObject({ taken: 'expired' })
  // b does not know whether it got it: what a left must still be seen by the next one.
  m.release(b, 0)
  const third = m.acquire(c)
  expect(third).toMatchObject({ kind: 'acquired', taken: 'expired' })
  m.release(c, third.fence)
  expect(m.acquire(a)).toMatchObject({ taken: 'free' })
})

test('guard_fenceZero_neverHolds', () => {
  expect(new Locks().put(0)).toBe('fenced')
})

test('guard_severalLocks_namesTheBrokenOne', () => {
  const m = new Locks()
  m.acquire(a)
  const guards = [
    { lock: L, fence: 1 },
    { lock: bytes('other'), fence: 5 },
  ]
  for (const op of [
    encodePut(bytes('k'), bytes('v'), { guards }),
    encodeDelete(bytes('k'), { guards }),
    encodeCondPut(bytes('k'), undefined, bytes('v'), guards),
  ]) {
    expect(decodeWriteReply(m.apply(op))).toEqual({ kind: 'fenced', guard: 1, fence: 0 })
  }
  expect(decodeManyReply(m.read(encodeGetMany([bytes('k')], guards)).reply)).toEqual({
    kind: 'fenced',
    guard: 1,
    fence: 0,
  })
})

test('queue_released_givenToTheFirstWaiterInThatEntry', () => {
  const m = new Locks()
  const session = m.openSession()
  const held = m.acquire(a)
  expect(m.acquire(b, session)).toEqual({ kind: 'queued', fence: held.fence, place: 3, index: 3 })
  expect(m.acquire(c, session)).toMatchObject({ kind: 'queued', place: 4 })
  // Asked again it has the place that it had.
  expect(m.acquire(b, session)).toMatchObject({ kind: 'queued', place: 3, index: 5 })
  m.release(a, held.fence)
  // The fence is the index of the release, and the old one is stale from there on.
  expect(m.put(held.fence)).toBe('fenced')
  expect(m.acquire(a, 0)).toEqual({ kind: 'busy', fence: 6 })
  expect(m.renew(b, 6)).toBe(true)
  expect(m.put(6)).toBe('ok')
})

test('queue_grantNotConfirmed_goesToTheNextOne', () => {
  const m = new Locks()
  const session = m.openSession()
  const held = m.acquire(a)
  m.acquire(b, session)
  m.acquire(c, session)
  m.release(a, held.fence)
  const granted = m.index
  m.passTo(GRANT_MS - 1)
  expect(m.acquire(a)).toEqual({ kind: 'busy', fence: granted })
  m.passTo(GRANT_MS)
  const next = m.index
  expect(next).toBeGreaterThan(granted + 1)
  expect(m.renew(b, granted)).toBe(false)
  // b never held it, so nothing was left half done.
  expect(m.acquire(c)).toEqual({ kind: 'acquired', fence: next, taken: 'free' })
})

test('queue_holderExpires_nextOneIsGivenItByATick_asExpired', () => {
  const m = new Locks()
  const session = m.openSession()
  m.acquire(a)
  m.acquire(b, session)
  m.passTo(1_000)
  const tick = m.index
  expect(m.acquire(b)).toEqual({ kind: 'acquired', fence: tick, taken: 'expired' })
})

test('queue_sessionEnds_placesLapse', () => {
  const m = new Locks()
  const dying = m.openSession(1_500)
  const living = m.openSession()
  const held = m.acquire(a)
  m.acquire(b, dying)
  m.acquire(c, living)
  m.renew(a, held.fence, 10_000)
  m.passTo(2_000)
  m.release(a, held.fence)
  expect(m.acquire(c)).toMatchObject({ kind: 'acquired', fence: m.index - 1 })
  expect(m.acquire(b, dying)).toMatchObject({ kind: 'noSession' })
})

test('queue_thousandsOfPlacesOfAnEndedSession_sweptByTicks', () => {
  const m = new Locks()
  const dying = m.openSession(1_500)
  const held = m.acquire(a)
  m.renew(a, held.fence, 60_000)
  for (let i = 0; i < 3_000; i++) expect(m.acquire(bytes(`w${i}`), dying).kind).toBe('queued')
  const before = m.index
  m.passTo(5_000)
  // A bounded number each: it took several.
  expect(m.index - before).toBeGreaterThanOrEqual(3)
  const swept = m.changes.filter((change) => change.stream === STREAM_LOCKS && change.kind === CHANGE_LOCK_LEFT)
  expect(swept).toHaveLength(3_000)
  expect(m.release(a, held.fence)).toBe(true)
  expect(m.machine.counts.locks).toBe(0)
})

test('queue_waiterWithdraws_nothingStaysBehind', () => {
  const m = new Locks()
  const session = m.openSession()
  const held = m.acquire(a)
  m.acquire(b, session)
  m.acquire(c, session)
  m.release(b, 0, session)
  m.release(a, held.fence)
  expect(m.release(b, 0, session)).toBe(false)
  // One that does not know that it was given the lock gives that back too.
  expect(m.release(c, 0, session)).toBe(true)
  expect(m.machine.counts.locks).toBe(0)
})

test('value_ofTheHolder_toldWithTheLock', () => {
  const m = new Locks()
  const held = decodeAcquireReply(m.apply(encodeAcquire(L, a, 1_000, 0, bytes('first'))))
  m.apply(encodeRenew(L, a, held.fence, 1_000))
  m.apply(encodeRenew(L, a, held.fence, 1_000, bytes('second')))
  const told = m.past.filter(({ kind }) => kind === CHANGE_LOCK_HELD).map(({ payload }) => decodeLockChange(payload))
  // A renewal that says nothing new is told to nobody.
  expect(told.map(({ fence, value }) => [fence, Buffer.from(value).toString()])).toEqual([
    [1, 'first'],
    [1, 'second'],
  ])
})
