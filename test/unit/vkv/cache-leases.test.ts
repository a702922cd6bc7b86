// Leases of client caches in the machine: granted, revoked by writers, given back, ended by the log's time.
import fc from 'fast-check'
import { readU53 } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { decodeWriteReply, encodeDelete, encodePut } from '@coppice/vkv/core'
import {
  decodeCacheOpened,
  decodeKeepReply,
  decodeLeaseReply,
  encodeCacheClose,
  encodeCacheDrop,
  encodeCacheForget,
  encodeCacheKeep,
  encodeCacheLease,
  encodeCacheOpen,
  KEEP_DONE,
  KEEP_REVOKED,
  KEEP_UNKNOWN,
  LEASE_GRANTED,
  LEASE_NEVER,
  LEASE_REFUSED,
  LEASE_UNKNOWN,
} from '@coppice/vkv/internal'
import { bytes, DrivenMachine, text } from './machine-help.js'

const TTL = 1_000

const open = (m: DrivenMachine, ttl = TTL): number => decodeCacheOpened(m.apply(encodeCacheOpen(ttl)))
const lease = (m: DrivenMachine, holder: number, key: string) =>
  decodeLeaseReply(m.apply(encodeCacheLease(holder, bytes(key))))
const put = (m: DrivenMachine, key: string, value = 'v') =>
  decodeWriteReply(m.apply(encodePut(bytes(key), bytes(value))))
const keep = (m: DrivenMachine, holder: number) => decodeKeepReply(m.apply(encodeCacheKeep(holder)))
const forget = (m: DrivenMachine, holder: number, key: string, upTo: number) =>
  m.apply(encodeCacheForget(holder, [{ key: bytes(key), upTo }]))

test('put_leasedKey_blockedUntilGivenBack', () => {
  const m = new DrivenMachine()
  put(m, 'k', 'old')
  const holder = open(m)
  const granted = lease(m, holder, 'k')
  expect(granted.status).toBe(LEASE_GRANTED)
  expect(text(granted.found?.value)).toBe('old')
  m.changes.length = 0
  expect(put(m, 'k', 'new')).toEqual({ kind: 'blocked', waitMs: TTL })
  const revoked = m.changes[0]!
  expect(revoked.payload).toBe('k')
  // A second attempt does not tell them again.
  expect(put(m, 'k', 'new').kind).toBe('blocked')
  expect(m.changes).toHaveLength(1)
  // One that was granted later is not what was given back.
  forget(m, holder, 'k', granted.index - 1)
  expect(put(m, 'k', 'new').kind).toBe('blocked')
  forget(m, holder, 'k', revoked.index)
  expect(put(m, 'k', 'new').kind).toBe('ok')
  expect(put(m, 'other').kind).toBe('ok')
})

test('lease_writerWaits_refused_untilItHasWritten_orIsGone', () => {
  const m = new DrivenMachine()
  const [one, two] = [open(m, 60_000), open(m, 60_000)]
  lease(m, one, 'k')
  put(m, 'k')
  expect(lease(m, two, 'k').status).toBe(LEASE_REFUSED)
  forget(m, one, 'k', m.index)
  expect(lease(m, two, 'k').status).toBe(LEASE_REFUSED)
  put(m, 'k')
  expect(lease(m, two, 'k').status).toBe(LEASE_GRANTED)
  put(m, 'k')
  forget(m, two, 'k', m.index)
  m.now += 5_001
  m.tick()
  expect(lease(m, two, 'k').status).toBe(LEASE_GRANTED)
})

test('holder_notKept_endsByTheLogsTime_notBefore', () => {
  const m = new DrivenMachine()
  const holder = open(m)
  lease(m, holder, 'k')
  m.now += TTL / 2
  expect(keep(m, holder).status).toBe(KEEP_DONE)
  m.now += TTL - 1
  m.tick()
  expect(put(m, 'k')).toEqual({ kind: 'blocked', waitMs: 1 })
  m.now += 1
  expect(m.machine.dueAt).toBe(m.now)
  m.tick()
  expect(put(m, 'k').kind).toBe('ok')
  expect(keep(m, holder).status).toBe(KEEP_UNKNOWN)
  expect(lease(m, holder, 'k').status).toBe(LEASE_UNKNOWN)
})

test('keep_leaseRevokedAndNotGivenBack_reminded_thenNotKept', () => {
  const m = new DrivenMachine()
  const holder = open(m)
  lease(m, holder, 'k')
  put(m, 'k')
  m.now += 300
  expect(keep(m, holder).status).toBe(KEEP_DONE)
  m.now += 300
  const reminder = keep(m, holder)
  expect(reminder.status).toBe(KEEP_REVOKED)
  m.now += 500
  expect(keep(m, holder).status).toBe(KEEP_UNKNOWN)
  // What it may still answer from memory is over when its time is.
  expect(put(m, 'k')).toEqual({ kind: 'blocked', waitMs: 500 })
  m.apply(encodeCacheDrop(holder, reminder.index))
  expect(put(m, 'k').kind).toBe('ok')
  expect(keep(m, holder).status).toBe(KEEP_DONE)
})

test('lease_largeValue_never_andNoValue', () => {
  const m = new DrivenMachine()
  const holder = open(m)
  put(m, 'k', 'x'.repeat(40_000))
  expect(lease(m, holder, 'k')).toMatchObject({ status: LEASE_NEVER, found: undefined })
  expect(put(m, 'k').kind).toBe('ok')
})

test('keysThatBeginAlike_areNotEachOthers', () => {
  const m = new DrivenMachine()
  const holder = open(m)
  lease(m, holder, 'a')
  expect(put(m, 'ab').kind).toBe('ok')
  expect(put(m, 'a').kind).toBe('blocked')
})

test('tick_manyLeases_endInBoundedPieces_noneLost', () => {
  const m = new DrivenMachine()
  const holder = open(m)
  for (let i = 0; i < 2_500; i++) lease(m, holder, `k${i}`)
  m.now += TTL
  let ticks = 0
  for (; m.machine.dueAt <= m.now; ticks++) m.tick()
  expect(ticks).toBeGreaterThan(2)
  for (let i = 0; i < 2_500; i++) expect(put(m, `k${i}`).kind).toBe('ok')
})

test('operation_malformed_refused', () => {
  const m = new DrivenMachine()
  const good = encodeCacheForget(7, [{ key: bytes('k'), upTo: 3 }])
  for (let end = 1; end < good.length; end++) expect(m.machine.validateOperation(good, 0, end)).toBeDefined()
  expect(m.machine.validateOperation(encodeCacheOpen(50), 0, 5)).toContain('ttl of 50 ms')
})

type Step =
  | { readonly kind: 'open' | 'tick' }
  | { readonly kind: 'keep' | 'drop' | 'close'; readonly holder: number }
  | { readonly kind: 'lease' | 'forget'; readonly holder: number; readonly key: number }
  | { readonly kind: 'put' | 'delete'; readonly key: number }

const holder = fc.nat(3)
const key = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('open' as const, 'tick' as const) }),
  fc.record({ kind: fc.constantFrom('keep' as const, 'drop' as const, 'close' as const), holder }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('lease' as const, 'forget' as const), holder, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'delete' as const), key }) },
)

test('leases_anyOrder_noWriteLandsWhileSomebodyMayAnswerFromMemory_andAReloadedMachineGoesOnAlike', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.nat(400)), { maxLength: 60 }), (steps) => {
      let m = new DrivenMachine()
      const holders: number[] = []
      /** What clients hold in memory: until when, which keys, each by the value they saw. */
      const memory = new Map<
        number,
        { until: number; keys: Map<string, { index: number; value: string | undefined }> }
      >()
      const state = new Map<string, string>()
      steps.forEach(([s, ms], n) => {
        m.now += ms
        if (m.machine.dueAt <= m.now) m.tick()
        const id = 'holder' in s ? holders[s.holder % Math.max(1, holders.length)] : undefined
        const mine = id === undefined ? undefined : memory.get(id)
        const name = 'key' in s ? `k${s.key}` : ''
        if (s.kind === 'open') {
          const opened = open(m)
          holders.push(opened)
          memory.set(opened, { until: m.now + TTL, keys: new Map() })
        } else if (s.kind === 'put' || s.kind === 'delete') {
          const value = `v${n}`
          const operation = s.kind === 'put' ? encodePut(bytes(name), bytes(value)) : encodeDelete(bytes(name))
          if (decodeWriteReply(m.apply(operation)).kind === 'ok') {
            if (s.kind === 'put') state.set(name, value)
            else state.delete(name)
          }
        } else if (id !== undefined && mine !== undefined) {
          if (s.kind === 'keep') {
            const { status, index } = keep(m, id)
            if (status !== KEEP_UNKNOWN) mine.until = m.now + TTL
            if (status === KEEP_REVOKED) {
              mine.keys.clear()
              m.apply(encodeCacheDrop(id, index))
            }
          } else if (s.kind === 'drop') {
            mine.keys.clear()
            m.apply(encodeCacheDrop(id, m.index))
          } else if (s.kind === 'close') {
            mine.keys.clear()
            m.apply(encodeCacheClose(id))
          } else if (s.kind === 'lease') {
            const { status, index, found } = lease(m, id, name)
            if (status === LEASE_GRANTED) mine.keys.set(name, { index, value: text(found?.value) })
          } else if (s.kind === 'forget') {
            const upTo = mine.keys.get(name)?.index ?? 0
            mine.keys.delete(name)
            forget(m, id, name, upTo)
          }
        }
        for (const { until, keys } of memory.values()) {
          if (m.now >= until) continue
          for (const [cached, { value }] of keys) expect(value).toBe(state.get(cached))
        }
        if (n % 7 === 3) m = m.reloaded()
      })
    }),
    { numRuns: 400 },
  )
})

test('open_answersItsIndex', () => {
  const m = new DrivenMachine()
  put(m, 'k')
  expect(readU53(m.apply(encodeCacheOpen(TTL)), 0)).toBe(2)
})
