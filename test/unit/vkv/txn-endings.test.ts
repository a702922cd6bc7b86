// Transactions whose keys end, and transactions with a name, in the machine: the rules one by one. The model of what ends (endings.test.ts)
// has both among everything else.
import { expect, test } from 'vitest'
import {
  MAX_IDEMPOTENCY_BYTES,
  MAX_SESSION_KEYS,
  MAX_STORED_REPLY_BYTES,
  MAX_TTL_MS,
  MAX_VALUE_BYTES,
  Writer,
} from '@coppice/protocol'
import { decodeGetReply, encodeGet, encodeOnce, encodePut } from '@coppice/vkv/core'
import {
  decodeAcquireReply,
  decodeCacheOpened,
  decodeOpenReply,
  decodeTxnReply,
  encodeAcquire,
  encodeCacheForget,
  encodeCacheLease,
  encodeCacheOpen,
  encodeEndSession,
  encodeOpenSession,
  encodeTxn,
  END_CLOSED,
  EXISTS,
  FULL_IDEMPOTENCY_KEYS,
  FULL_SESSION_KEYS,
  MAX_TXN_PARTS,
  OP_TXN,
  OP_TXN_TIMED,
  STEP_DELETE,
  STEP_GET,
  STEP_PUT,
  STEP_PUT_LASTING,
  type Step,
  type TxnOperation,
} from '@coppice/vkv/internal'
import { bytes, DrivenMachine, text } from './machine-help.js'

const plain = { guards: [], comparisons: [], success: [], failure: [] }
const put = (key: string, value = 'v'): Step => ({ kind: STEP_PUT, key: bytes(key), value: bytes(value) })
const lasting = (key: string, ttlMs: number, session = 0): Step => ({
  kind: STEP_PUT_LASTING,
  key: bytes(key),
  value: bytes('v'),
  ttlMs,
  session,
})
const remove = (key: string): Step => ({ kind: STEP_DELETE, key: bytes(key) })
const get = (key: string): Step => ({ kind: STEP_GET, key: bytes(key) })
const exists = (key: string) => ({ key: bytes(key), relation: EXISTS }) as const

const read = (m: DrivenMachine, key: string) => text(decodeGetReply(m.read(encodeGet(bytes(key))).reply)?.value)
const open = (m: DrivenMachine, ttlMs: number) => decodeOpenReply(m.apply(encodeOpenSession(ttlMs, bytes(''))))!
const commit = (m: DrivenMachine, txn: Partial<TxnOperation>) =>
  decodeTxnReply(m.apply(encodeTxn({ ...plain, ...txn })).slice())
const commitOnce = (m: DrivenMachine, txn: Partial<TxnOperation>, key = 'i') =>
  decodeTxnReply(m.apply(encodeOnce({ key: bytes(key), keepMs: 1_000 }, encodeTxn({ ...plain, ...txn }))).slice())
const problem = (b: Uint8Array) => new DrivenMachine().machine.validateOperation(b, 0, b.length)

/** Whatever it answers, it has changed nothing and told nobody. */
function unchanged<T>(m: DrivenMachine, work: () => T): T {
  const [hash, told] = [m.machine.hash(), m.changes.length]
  const answer = work()
  expect([m.machine.hash(), m.changes.length]).toEqual([hash, told])
  return answer
}

test('ttl_ofEitherBranch_endsNotBeforeItsTime', () => {
  const m = new DrivenMachine()
  m.now = 1_000
  commit(m, { success: [lasting('a', 50), put('stays')] })
  commit(m, { comparisons: [exists('nothing')], success: [lasting('never', 10)], failure: [lasting('b', 70)] })
  expect(m.machine.dueAt).toBe(1_051)
  m.passTo(1_051)
  expect([read(m, 'a'), read(m, 'b'), read(m, 'stays')]).toEqual([undefined, 'v', 'v'])
  m.passTo(1_071)
  expect(read(m, 'b')).toBeUndefined()
  expect(m.machine.dueAt).toBe(Infinity)
})

test('put_ofATransaction_hasExactlyWhatItNames', () => {
  const m = new DrivenMachine()
  const [one, other] = [open(m, 10_000), open(m, 10_000)]
  m.apply(encodePut(bytes('a'), bytes('v'), {}, { ttlMs: 50, session: one }))
  commit(m, { success: [lasting('a', 0, other)] })
  // Neither the ttl nor the first session is its any more.
  m.passTo(60)
  m.apply(encodeEndSession(one, END_CLOSED))
  expect(read(m, 'a')).toBe('v')
  commit(m, { success: [lasting('a', 50)] })
  m.apply(encodeEndSession(other, END_CLOSED))
  expect(read(m, 'a')).toBe('v')
  commit(m, { success: [put('a', 'w')] })
  m.passTo(1_000)
  expect(read(m, 'a')).toBe('w')
})

test('session_ends_withAllThatTransactionsBoundToIt', () => {
  const m = new DrivenMachine()
  const [session, other] = [open(m, 100), open(m, 200)]
  commit(m, { success: [lasting('a', 0, session), lasting('b', 0, other), lasting('c', 5_000, session)] })
  commit(m, { comparisons: [exists('nothing')], failure: [lasting('d', 0, session), put('e')] })
  m.passTo(101)
  expect(['a', 'b', 'c', 'd', 'e'].map((key) => read(m, key))).toEqual([undefined, 'v', undefined, undefined, 'v'])
  m.passTo(201)
  expect([read(m, 'b'), m.machine.dueAt]).toEqual([undefined, Infinity])
})

test('session_ofTheBranchNotTaken_doesNotMatter', () => {
  const m = new DrivenMachine()
  expect(commit(m, { success: [put('a')], failure: [lasting('b', 0, 77)] })).toMatchObject({ kind: 'success' })
})

test('session_thatHasEnded_refusesAllOfIt', () => {
  const m = new DrivenMachine()
  const [ended, lives] = [open(m, 10_000), open(m, 10_000)]
  m.apply(encodeEndSession(ended, END_CLOSED))
  const success = [put('a'), lasting('b', 0, lives), lasting('c', 0, ended), get('a')]
  expect(unchanged(m, () => commit(m, { success }))).toEqual({ kind: 'sessionEnded', session: ended })
  expect(unchanged(m, () => commit(m, { comparisons: [exists('x')], failure: success }))).toEqual({
    kind: 'sessionEnded',
    session: ended,
  })
})

test('session_roomIsCountedForAllKeysNewToIt', () => {
  const m = new DrivenMachine()
  const [session, other] = [open(m, 10_000), open(m, 10_000)]
  const keys = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => lasting(`k${from + i}`, 0, session))
  const almost = MAX_SESSION_KEYS - 2
  for (let at = 0; at < almost; at += MAX_TXN_PARTS)
    commit(m, { success: keys(at, Math.min(at + MAX_TXN_PARTS, almost)) })
  const full = { kind: 'full', of: FULL_SESSION_KEYS }
  expect(unchanged(m, () => commit(m, { success: [put('a'), ...keys(almost, almost + 3)] }))).toEqual(full)
  // What it takes away itself makes no room, and what is bound already needs none.
  expect(unchanged(m, () => commit(m, { success: [remove('k0'), ...keys(almost, almost + 3)] }))).toEqual(full)
  const fits = [...keys(0, 500), ...keys(almost, almost + 2), lasting('x', 0, other), lasting('y', 0, other)]
  expect(commit(m, { success: fits })).toMatchObject({ kind: 'success' })
  expect(unchanged(m, () => commit(m, { success: keys(almost + 2, almost + 3) }))).toEqual(full)
  commit(m, { success: [remove('k0'), lasting('k1', 0, other)] })
  expect(commit(m, { success: keys(almost + 2, almost + 4) })).toMatchObject({ kind: 'success' })
  m.apply(encodeEndSession(session, END_CLOSED))
  expect(m.machine.counts.keys).toBe(3)
})

test('parse_lifetimes_boundsAreThoseOfAPut', () => {
  const of = (step: Step, kind?: number): Uint8Array => {
    const b = encodeTxn({ ...plain, success: [step] }).slice()
    b[0] = kind ?? b[0]!
    return b
  }
  expect(problem(of(lasting('a', MAX_TTL_MS, 2 ** 53 - 1)))).toBeUndefined()
  expect(problem(of(lasting('a', MAX_TTL_MS + 1)))).toMatch(/ttl of \d+ ms is not between 1 ms and ten years/)
  expect(problem(of(lasting('a', 0, 0)))).toBe('txn: a step with a lifetime has neither a ttl nor a session')
  // Without a kind of its own its record would not be stamped.
  expect(problem(of(lasting('a', 1), OP_TXN))).toBe('txn: a ttl in a transaction that does not depend on the time')
  expect(problem(of(lasting('a', 0, 1), OP_TXN))).toBeUndefined()
  // The highest byte of the session, and that of the ttl.
  const valueBytes = 4 + 1
  for (const [before, why] of [
    [1, /session is no id/],
    [9, /ttl of -1 ms/],
  ] as const) {
    const b = of(lasting('a', 5, 5))
    b[b.length - 2 - valueBytes - before] = 255
    expect(problem(b)).toMatch(why)
  }
})

test('parse_largestTransaction_fits', () => {
  const key = (i: number) => bytes(String(i).padStart(1_024, 'k'))
  const steps = Array.from({ length: MAX_TXN_PARTS }, (_, i): Step => {
    const value = new Uint8Array(i === 0 ? MAX_VALUE_BYTES : 0)
    return { kind: STEP_PUT_LASTING, key: key(i), value, ttlMs: 1, session: 1 }
  })
  const guards = Array.from({ length: 16 }, (_, i) => ({ lock: key(i), fence: 1 }))
  const whole = encodeTxn({ ...plain, guards, success: steps })
  expect(problem(encodeOnce({ key: bytes('i'.repeat(128)), keepMs: 1 }, whole))).toBeUndefined()
})

test('readsTime_aTtlOrAName_noneElse', () => {
  const { machine } = new DrivenMachine()
  const reads = (b: Uint8Array) => machine.readsTime(b, 0)
  const session = encodeTxn({ ...plain, success: [lasting('a', 0, 7)] })
  const ttl = encodeTxn({ ...plain, failure: [put('b'), lasting('a', 7)] })
  expect([session[0], ttl[0]]).toEqual([OP_TXN, OP_TXN_TIMED])
  expect([reads(session), reads(ttl), reads(encodeOnce({ key: bytes('i'), keepMs: 1 }, session))]).toEqual([
    false,
    true,
    true,
  ])
})

test('once_repeated_sameAnswerWithWhatItsGetsFound', () => {
  const m = new DrivenMachine()
  m.apply(encodePut(bytes('a'), bytes('before')))
  const txn = { success: [get('a'), put('a', 'paid'), lasting('b', 10), remove('c')] }
  const first = commitOnce(m, txn)
  expect(first).toEqual({
    kind: 'success',
    version: 2,
    results: [
      { kind: 'get', found: { version: 1, value: bytes('before') } },
      { kind: 'put', existed: true },
      { kind: 'put', existed: false },
      { kind: 'delete', existed: false },
    ],
  })
  m.apply(encodePut(bytes('a'), bytes('shipped')))
  m.passTo(100)
  const reloaded = m.reloaded()
  for (const machine of [m, reloaded]) {
    expect(unchanged(machine, () => commitOnce(machine, txn))).toEqual(first)
    // Another transaction, a part of it, and a plain write of it.
    for (const other of [{ success: [get('a')] }, { failure: txn.success }, { ...txn, comparisons: [exists('a')] }]) {
      expect(unchanged(machine, () => commitOnce(machine, other))).toEqual({ kind: 'reused' })
    }
  }
  expect(m.apply(encodeOnce({ key: bytes('i'), keepMs: 1_000 }, encodePut(bytes('a'), bytes('paid'))))[0]).toBe(5)
  m.passTo(1_001)
  expect(commitOnce(m, txn)).toMatchObject({ kind: 'success', version: m.index })
})

test('once_ofTheOtherBranch_isRememberedWhenItWrites', () => {
  const m = new DrivenMachine()
  const writes = { comparisons: [exists('a')], success: [put('b')], failure: [put('missed'), get('a')] }
  const first = commitOnce(m, writes)
  expect(first).toMatchObject({ kind: 'failure', failed: 0 })
  m.apply(encodePut(bytes('a'), bytes('v')))
  expect(unchanged(m, () => commitOnce(m, writes))).toEqual(first)
  // What only reads is read again.
  const reads = { comparisons: [exists('z')], success: [put('b')], failure: [get('a')] }
  expect(unchanged(m, () => commitOnce(m, reads, 'j'))).toMatchObject({ kind: 'failure' })
  m.apply(encodePut(bytes('z'), bytes('v')))
  expect(commitOnce(m, reads, 'j')).toMatchObject({ kind: 'success', version: m.index })
})

test('once_ofWhatWasRefused_isMadeAgain', () => {
  const m = new DrivenMachine()
  const made = (work: () => { kind: string }) => unchanged(m, () => work().kind)
  const { fence } = decodeAcquireReply(m.apply(encodeAcquire(bytes('l'), bytes('me'), 1_000, 0)))
  const guards = [{ lock: bytes('l'), fence: fence + 1 }]
  expect(made(() => commitOnce(m, { guards, success: [put('a')] }))).toBe('fenced')
  expect(made(() => commitOnce(m, { success: [lasting('a', 0, 99)] }))).toBe('sessionEnded')
  m.apply(encodePut(bytes('large'), new Uint8Array(MAX_STORED_REPLY_BYTES)))
  expect(made(() => commitOnce(m, { success: [get('large'), put('a')] }))).toBe('replyTooLarge')
  const holder = decodeCacheOpened(m.apply(encodeCacheOpen(1_000)))
  m.apply(encodeCacheLease(holder, bytes('a')))
  expect(commitOnce(m, { success: [put('a')] })).toEqual({ kind: 'blocked', waitMs: 1_000 })
  expect(m.machine.counts.once).toBe(0)
  m.apply(encodeCacheForget(holder, [{ key: bytes('a'), upTo: m.index }]))
  expect(commitOnce(m, { success: [put('a')] }).kind).toBe('success')
  expect(m.machine.counts.once).toBe(1)
})

test('once_whenAsManyBytesAreKeptAsMayBe_isRefused_andWhatIsKeptIsAnswered', () => {
  const m = new DrivenMachine()
  const kept = commitOnce(m, { success: [put('a')] })
  // The state says so itself: kind, format, last index and time stand before it.
  let first = true
  const full = m.reloaded((piece) => {
    const w = new Writer()
    w.u53(MAX_IDEMPOTENCY_BYTES)
    if (first) piece.set(w.view(), 18)
    first = false
  })
  const refused = { kind: 'full', of: FULL_IDEMPOTENCY_KEYS }
  expect(unchanged(full, () => commitOnce(full, { success: [put('b')] }, 'j'))).toEqual(refused)
  expect(unchanged(full, () => commitOnce(full, { success: [put('a')] }))).toEqual(kept)
  // Room comes with time.
  full.passTo(1_001)
  expect(commitOnce(full, { success: [put('b')] }, 'j')).toMatchObject({ kind: 'success' })
})

test('once_ofAnUpdate_orInsideAnother_refused', () => {
  const txn = encodeTxn({ ...plain, success: [put('a')] })
  const key = bytes('i')
  expect(problem(encodeOnce({ key, keepMs: 1, anyValue: true }, txn))).toBe('a transaction is no update')
  expect(problem(encodeOnce({ key, keepMs: 1 }, encodeOnce({ key, keepMs: 1 }, txn)))).toMatch(
    /takes no idempotency key/,
  )
  const cut = encodeOnce({ key, keepMs: 1 }, txn)
  for (let n = 0; n < cut.length; n++) expect(problem(cut.subarray(0, n))).toBeTypeOf('string')
})
