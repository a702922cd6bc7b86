// Transactions in the machine: against a naive model, cut and random bytes, bounds, guards, what watchers are told.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_STORED_REPLY_BYTES, MAX_VALUE_BYTES } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import { decodeGetReply, encodeGet, encodeOnce, encodePut, KvMachine } from '@coppice/vkv/core'
import {
  type Comparison,
  decodeAcquireReply,
  decodeCacheOpened,
  decodeLeaseReply,
  decodeTxnReply,
  encodeAcquire,
  encodeCacheForget,
  encodeCacheLease,
  encodeCacheOpen,
  encodeTxn,
  EXISTS,
  LEASE_GRANTED,
  LEASE_REFUSED,
  MAX_TXN_BYTES,
  MAX_TXN_PARTS,
  MISSING,
  OP_TXN,
  OP_TXN_TIMED,
  type Step,
  STEP_DELETE,
  STEP_GET,
  STEP_PUT,
  STEP_PUT_LASTING,
  type TxnOperation,
  VALUE_EQUAL,
  VALUE_NOT_EQUAL,
  VERSION_ABOVE,
  VERSION_BELOW,
  VERSION_EQUAL,
  VERSION_NOT_EQUAL,
} from '@coppice/vkv/internal'
import { bytes, DrivenMachine, text } from './machine-help.js'

const KEYS = ['a', 'b', 'c', 'd']
const key = fc.constantFrom(...KEYS)
const value = fc.constantFrom('', 'x', 'y'.repeat(50))
const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({ key: key.map(bytes), relation: fc.constantFrom(EXISTS, MISSING) }),
  fc.record({
    key: key.map(bytes),
    relation: fc.constantFrom(VERSION_EQUAL, VERSION_NOT_EQUAL, VERSION_BELOW, VERSION_ABOVE),
    version: fc.nat(12),
  }),
  fc.record({
    key: key.map(bytes),
    relation: fc.constantFrom(VALUE_EQUAL, VALUE_NOT_EQUAL),
    value: value.map(bytes),
  }),
)
const writes: fc.Arbitrary<Step[]> = fc.subarray(KEYS).chain((keys) =>
  fc.tuple(
    ...keys.map((k) =>
      fc.oneof(
        value.map((v): Step => ({ kind: STEP_PUT, key: bytes(k), value: bytes(v) })),
        // No time passes here.
        fc
          .tuple(value, fc.constantFrom(1, 7_000))
          .map(([v, ttlMs]): Step => ({ kind: STEP_PUT_LASTING, key: bytes(k), value: bytes(v), ttlMs, session: 0 })),
        fc.constant<Step>({ kind: STEP_DELETE, key: bytes(k) }),
      ),
    ),
  ),
)
const gets = fc.array(
  key.map((k): Step => ({ kind: STEP_GET, key: bytes(k) })),
  { maxLength: 3 },
)
const steps = fc.tuple(writes, gets).chain(([w, g]) => fc.shuffledSubarray([...w, ...g], { minLength: w.length }))
const txn: fc.Arbitrary<TxnOperation> = fc.record({
  guards: fc.constant([]),
  comparisons: fc.array(comparison, { maxLength: 3 }),
  success: steps,
  failure: steps,
})

type Model = Map<string, { value: string; version: number }>

function modelHolds(model: Model, c: Comparison): boolean {
  const present = model.get(text(c.key)!)
  const version = present?.version ?? 0
  switch (c.relation) {
    case EXISTS:
      return present !== undefined
    case MISSING:
      return present === undefined
    case VERSION_EQUAL:
      return version === c.version
    case VERSION_NOT_EQUAL:
      return version !== c.version
    case VERSION_BELOW:
      return version < c.version
    case VERSION_ABOVE:
      return version > c.version
    case VALUE_EQUAL:
      return present !== undefined && present.value === text(c.value)
    case VALUE_NOT_EQUAL:
      return present === undefined || present.value !== text(c.value)
  }
}

/** The model's reply; the model is changed. */
function modelApply(model: Model, index: number, operation: TxnOperation): unknown {
  const failed = operation.comparisons.findIndex((c) => !modelHolds(model, c))
  const branch = failed < 0 ? operation.success : operation.failure
  const before = new Map(model)
  const results = branch.map((step) => {
    const found = before.get(text(step.key)!)
    if (step.kind === STEP_GET) return { kind: 'get', found: found && { ...found, value: bytes(found.value) } }
    if ('value' in step) model.set(text(step.key)!, { value: text(step.value)!, version: index })
    else model.delete(text(step.key)!)
    return { kind: 'value' in step ? 'put' : 'delete', existed: found !== undefined }
  })
  return failed < 0
    ? { kind: 'success', version: index, results }
    : { kind: 'failure', version: index, failed, results }
}

test('apply_randomTransactions_agreeWithNaiveModel', () => {
  fc.assert(
    fc.property(fc.array(txn, { maxLength: 25 }), (operations) => {
      const m = new DrivenMachine()
      const model: Model = new Map()
      for (const operation of operations) {
        const from = m.changes.length
        const before = new Map(model)
        const expected = modelApply(model, m.index + 1, operation)
        const reply = decodeTxnReply(m.apply(encodeTxn(operation)))
        const copied = 'results' in reply ? { ...reply, results: reply.results.map(ownBytes) } : reply
        expect(copied).toEqual(expected)
        // Watchers hear of exactly the keys that are another entry's now, at this index.
        const changed = m.changes.slice(from).map(({ topic, kind, payload }) => [topic, kind === 0 ? payload : null])
        const differ = [...new Set([...before.keys(), ...model.keys()])]
          .filter((k) => before.get(k)?.version !== model.get(k)?.version)
          .map((k) => [k, model.get(k)?.value ?? null])
        expect(changed.sort()).toEqual(differ.sort())
      }
      for (const k of KEYS) {
        const found = decodeGetReply(m.read(encodeGet(bytes(k))).reply)
        expect(found && { value: text(found.value), version: found.version }).toEqual(model.get(k))
      }
    }),
    { numRuns: 300 },
  )
})

function ownBytes(result: object): unknown {
  if (!('found' in result) || result.found === undefined) return result
  const found = result.found as { version: number; value: Uint8Array }
  return { ...result, found: { version: found.version, value: Uint8Array.from(found.value) } }
}

/** Some of its puts name a session, which nobody has opened. */
const bound: fc.Arbitrary<TxnOperation> = fc.tuple(txn, fc.constantFrom(0, 3, 2 ** 52)).map(([operation, session]) => {
  const bind = (step: Step): Step => (step.kind === STEP_PUT_LASTING ? { ...step, session } : step)
  return { ...operation, success: operation.success.map(bind), failure: operation.failure.map(bind) }
})

const machine = new KvMachine(nodeBytes)
const problem = (b: Uint8Array): string | undefined => machine.validateOperation(b, 0, b.length)

test('parse_wellFormed_acceptedAnywhereInABuffer', () => {
  fc.assert(
    fc.property(bound, (operation) => {
      const encoded = encodeTxn(operation)
      const b = new Uint8Array(encoded.length + 20).fill(255)
      b.set(encoded, 10)
      expect(machine.validateOperation(b, 10, 10 + encoded.length)).toBeUndefined()
    }),
  )
})

test('parse_cutAnywhereOrLonger_refusedByName', () => {
  fc.assert(
    fc.property(bound, (operation) => {
      const encoded = encodeTxn(operation)
      for (let n = 0; n < encoded.length; n++) expect(problem(encoded.subarray(0, n))).toBeTypeOf('string')
      expect(problem(new Uint8Array([...encoded, 0]))).toBeTypeOf('string')
    }),
    { numRuns: 60 },
  )
})

test('parse_anyBytesOrOneByteChanged_neverThrows_andWhatPassesApplies', () => {
  const m = new DrivenMachine()
  fc.assert(
    fc.property(bound, fc.nat(), fc.nat(255), fc.uint8Array({ maxLength: 60 }), (operation, at, byte, noise) => {
      const changed = encodeTxn(operation)
      changed[at % changed.length] = byte
      const named = encodeOnce({ key: bytes('i'), keepMs: 5 }, changed)
      named[at % named.length] = byte
      for (const b of [changed, named, new Uint8Array([OP_TXN, ...noise]), new Uint8Array([OP_TXN_TIMED, ...noise])]) {
        const why = problem(b)
        if (why === undefined) m.apply(b)
        else {
          expect(why.length).toBeGreaterThan(0)
          // In a log all the same, it changes nothing.
          const before = m.machine.hash()
          m.force(b)
          expect(m.machine.hash()).toBe(before)
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

const put = (k: string, v = ''): Step => ({ kind: STEP_PUT, key: bytes(k), value: bytes(v) })
const get = (k: string): Step => ({ kind: STEP_GET, key: bytes(k) })
const plain = { guards: [], comparisons: [], success: [], failure: [] }

test('parse_keyWrittenTwiceInABranch_refused_inBothBranchesOnceIsFine', () => {
  expect(problem(encodeTxn({ ...plain, success: [put('a'), put('b'), put('a', 'x')] }))).toBe(
    'txn: a key is written twice',
  )
  expect(problem(encodeTxn({ ...plain, failure: [put('a'), { kind: STEP_DELETE, key: bytes('a') }] }))).toBe(
    'txn: a key is written twice',
  )
  expect(problem(encodeTxn({ ...plain, success: [put('a'), get('a')], failure: [put('a')] }))).toBeUndefined()
  const many = Array.from({ length: MAX_TXN_PARTS }, (_, i) => put(`key-${i}`))
  expect(problem(encodeTxn({ ...plain, success: many }))).toBeUndefined()
  many[MAX_TXN_PARTS - 1] = put('key-7')
  expect(problem(encodeTxn({ ...plain, success: many }))).toBe('txn: a key is written twice')
})

test('parse_aboveItsBounds_refused', () => {
  const parts = (n: number): Step[] => Array.from({ length: n }, () => get('a'))
  expect(problem(encodeTxn({ ...plain, success: parts(1_000), failure: parts(24) }))).toBeUndefined()
  expect(problem(encodeTxn({ ...plain, success: parts(1_000), failure: parts(25) }))).toBe(
    'txn has at least 1025 comparisons and steps, above the limit of 1024',
  )
  const large = new Uint8Array(MAX_VALUE_BYTES)
  const one: Step = { kind: STEP_PUT, key: bytes('a'), value: large }
  expect(problem(encodeTxn({ ...plain, success: [one] }))).toBeUndefined()
  const two = encodeTxn({ ...plain, success: [one, { ...one, key: bytes('b') }] })
  expect(problem(two)).toBe(`txn of ${two.length} bytes is above the limit of ${MAX_TXN_BYTES}`)
})

test('apply_replyAboveWhatIsStored_writesNothing_oneThatFitsExactlyIsDone', () => {
  const m = new DrivenMachine()
  const fits = MAX_STORED_REPLY_BYTES - (1 + 8 + 1 + 2) - (2 + 8 + 4) - 2
  m.apply(encodePut(bytes('large'), new Uint8Array(fits)))
  const operation = encodeTxn({ ...plain, success: [get('large'), put('other')] })
  const reply = m.apply(operation)
  expect(reply.length).toBe(MAX_STORED_REPLY_BYTES)
  expect(decodeTxnReply(reply).kind).toBe('success')
  m.apply(encodePut(bytes('large'), new Uint8Array(fits + 1)))
  const before = m.machine.hash()
  const told = m.changes.length
  expect(decodeTxnReply(m.apply(operation))).toEqual({ kind: 'replyTooLarge' })
  expect(m.machine.hash()).toBe(before)
  expect(m.changes.length).toBe(told)
})

test('apply_guards_refusedOnceTheLockIsAnothers', () => {
  const m = new DrivenMachine()
  const reply = decodeAcquireReply(m.apply(encodeAcquire(bytes('lock'), bytes('me'), 1_000, 0)))
  const { fence } = reply
  const operation = encodeTxn({ ...plain, guards: [{ lock: bytes('lock'), fence }], success: [put('a', '1')] })
  expect(decodeTxnReply(m.apply(operation)).kind).toBe('success')
  m.now = 2_000
  const taken = decodeAcquireReply(m.apply(encodeAcquire(bytes('lock'), bytes('other'), 1_000, 0)))
  expect(decodeTxnReply(m.apply(operation))).toEqual({ kind: 'fenced', guard: 0, fence: taken.fence })
})

test('apply_leasedKey_nothingWrittenAndNoKeyOfItIsLeasedMeanwhile_untilGivenBack', () => {
  const m = new DrivenMachine()
  m.apply(encodePut(bytes('a'), bytes('old')))
  const holder = decodeCacheOpened(m.apply(encodeCacheOpen(1_000)))
  const lease = (k: string): number => decodeLeaseReply(m.apply(encodeCacheLease(holder, bytes(k)))).status
  expect([lease('a'), lease('read'), lease('missing')]).toEqual([LEASE_GRANTED, LEASE_GRANTED, LEASE_GRANTED])
  const operation = encodeTxn({
    ...plain,
    success: [put('b', 'new'), put('a', 'new'), get('read'), { kind: STEP_DELETE, key: bytes('missing') }],
  })
  m.changes.length = 0
  expect(decodeTxnReply(m.apply(operation))).toEqual({ kind: 'blocked', waitMs: 1_000 })
  // Only what it would change is revoked.
  expect(m.changes.map(({ payload }) => payload)).toEqual(['a'])
  expect(text(decodeGetReply(m.read(encodeGet(bytes('a'))).reply)?.value)).toBe('old')
  // `b` was free, but a lease on it now would hold the next attempt up.
  expect([lease('a'), lease('b')]).toEqual([LEASE_REFUSED, LEASE_REFUSED])
  m.apply(encodeCacheForget(holder, [{ key: bytes('a'), upTo: m.index }]))
  expect(decodeTxnReply(m.apply(operation)).kind).toBe('success')
  expect([lease('a'), lease('b')]).toEqual([LEASE_GRANTED, LEASE_GRANTED])
})

test('apply_keyWithATtl_livesOnWithoutIt_orIsGoneForGood', () => {
  const m = new DrivenMachine()
  for (const k of ['a', 'b']) m.apply(encodePut(bytes(k), bytes('old'), {}, { ttlMs: 100 }))
  m.apply(encodeTxn({ ...plain, success: [put('a', 'new'), { kind: STEP_DELETE, key: bytes('b') }] }))
  m.apply(encodePut(bytes('b'), bytes('again')))
  expect(m.machine.dueAt).toBe(Infinity)
  m.now = 1_000
  m.tick()
  expect(text(decodeGetReply(m.read(encodeGet(bytes('a'))).reply)?.value)).toBe('new')
  expect(text(decodeGetReply(m.read(encodeGet(bytes('b'))).reply)?.value)).toBe('again')
})

test('replay_sameOperations_sameHash', () => {
  fc.assert(
    fc.property(fc.array(txn, { maxLength: 20 }), (operations) => {
      const [one, other] = [new DrivenMachine(), new DrivenMachine()]
      for (const operation of operations) {
        const encoded = encodeTxn(operation)
        expect(Buffer.from(one.apply(encoded)).equals(other.apply(encoded))).toBe(true)
      }
      expect(one.machine.hash()).toBe(other.machine.hash())
    }),
    { numRuns: 50 },
  )
})
