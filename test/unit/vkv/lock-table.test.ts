// Locks as operations of the log: owner, fence, expiry by the log's time, queue, and the writes they guard.
import { expect, test } from 'vitest'
import {
  decodeAcquireReply,
  decodeDone,
  decodeManyReply,
  decodeWriteReply,
  encodeAcquire,
  encodeCondPut,
  encodeDelete,
  encodeGetMany,
  encodePut,
  encodeRelease,
  encodeRenew,
  type Guard,
} from '@coppice/vkv/core'
import { bytes, DrivenMachine } from './machine-help.js'

const L = bytes('lock')
const a = bytes('a')
const b = bytes('b')
const c = bytes('c')

class Locks extends DrivenMachine {
  acquire(owner: Uint8Array, waitMs = 0) {
    return decodeAcquireReply(this.apply(encodeAcquire(L, owner, 1_000, waitMs)))
  }
  renew(owner: Uint8Array, fence: number, ttlMs = 1_000) {
    return decodeDone(this.apply(encodeRenew(L, owner, fence, ttlMs)))
  }
  release(owner: Uint8Array, fence: number) {
    return decodeDone(this.apply(encodeRelease(L, owner, fence)))
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
  expect(m.acquire(b)).toEqual({ kind: 'busy', fence: 2, retryMs: 1_000, place: undefined })
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

test('queue_firstWaiterGetsReleasedLock_othersWait', () => {
  const m = new Locks()
  m.acquire(a)
  expect(m.acquire(b, 500)).toMatchObject({ kind: 'busy', place: 0 })
  expect(m.acquire(c, 500)).toMatchObject({ kind: 'busy', place: 1 })
  m.release(a, 1)
  // The releaser and the second waiter come too early; the first waiter's place is kept for it.
  expect(m.acquire(a).kind).toBe('busy')
  expect(m.acquire(c, 500)).toMatchObject({ kind: 'busy', fence: 0, place: 1 })
  expect(m.acquire(b, 500)).toMatchObject({ kind: 'acquired', taken: 'free' })
})

test('queue_waiterThatNeverComes_placeLapses', () => {
  const m = new Locks()
  m.acquire(a)
  m.acquire(b, 500)
  m.release(a, 1)
  m.now = 499
  expect(m.acquire(c).kind).toBe('busy')
  m.now = 500
  expect(m.acquire(c)).toMatchObject({ kind: 'acquired', taken: 'free' })
})

test('queue_waiterWithdraws_nothingStaysBehind', () => {
  const m = new Locks()
  m.acquire(a)
  m.acquire(b, 60_000)
  m.release(a, 1)
  m.release(b, 0)
  expect(m.machine.counts.locks).toBe(0)
})
