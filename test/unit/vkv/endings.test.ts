// What ends by itself, in the machine: against a naive model, over captures, and the rules one by one.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_SESSION_KEYS } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import {
  CHANGE_EXPIRE,
  decodeGetReply,
  decodeRangeReply,
  decodeWriteReply,
  encodeCondPut,
  encodeDelete,
  encodeGet,
  encodeOnce,
  encodePut,
  encodeRange,
  KvMachine,
  STREAM_KEYS,
} from '@coppice/vkv/core'
import {
  CHANGE_SESSION_END,
  decodeKeepAliveReply,
  decodeOpenReply,
  decodeSession,
  encodeEndSession,
  encodeKeepAlive,
  encodeOpenSession,
  END_CLOSED,
  STREAM_SESSIONS,
  TABLE_SESSIONS,
} from '@coppice/vkv/internal'
import { commands, encode, Model, replyOf, type Command } from './endings-model.js'
import { bytes, DrivenMachine, text } from './machine-help.js'

const get = (m: DrivenMachine, key: string) => text(decodeGetReply(m.read(encodeGet(bytes(key))).reply)?.value)
const open = (m: DrivenMachine, ttlMs: number) => decodeOpenReply(m.apply(encodeOpenSession(ttlMs, bytes('')))) ?? 0
const put = (m: DrivenMachine, key: string, lifetime: { ttlMs?: number; session?: number }, value = 'v') =>
  decodeWriteReply(m.apply(encodePut(bytes(key), bytes(value), {}, lifetime)))

/** One command at the machine and at the model, which must agree. */
function both(c: Command, m: DrivenMachine, model: Model): void {
  if (c.kind === 'pass') {
    const to = m.now + c.ms
    while (m.machine.dueAt <= to) {
      m.now = Math.max(m.now, m.machine.dueAt)
      m.tick()
      model.tick(m.index, m.now)
    }
    m.now = to
    return
  }
  const operation = encode(c, model)
  switch (c.kind) {
    case 'put':
    case 'delete':
    case 'txn': {
      const expected = model.write(c, m.index + 1, m.now)
      expect(replyOf(c, m.apply(operation))).toEqual(expected)
      return
    }
    case 'open': {
      const id = decodeOpenReply(m.apply(operation))!
      expect(id).toBe(m.index)
      model.opened.push(id)
      model.sessions.set(id, { ttlMs: c.ttlMs, expiry: m.now + c.ttlMs + 1 })
      return
    }
    case 'keepAlive': {
      const ids = c.sessions.map((n) => model.idOf(n)).filter((id) => id > 0)
      expect(decodeKeepAliveReply(m.apply(operation))).toEqual(ids.filter((id) => !model.sessions.has(id)))
      for (const id of ids) {
        const session = model.sessions.get(id)
        if (session !== undefined) session.expiry = Math.max(session.expiry, m.now + session.ttlMs + 1)
      }
      return
    }
    case 'end':
      m.apply(operation)
      model.end(model.idOf(c.session), m.index)
  }
}

function agree(m: DrivenMachine, model: Model): void {
  for (const key of ['a', 'b', 'c', 'dd']) {
    const found = decodeGetReply(m.read(encodeGet(bytes(key))).reply)
    const k = model.keys.get(key)
    expect(found && { value: text(found.value), version: found.version }).toEqual(
      k && { value: k.value, version: k.version },
    )
  }
  expect(m.machine.dueAt).toBe(model.dueAt)
  expect(m.machine.counts).toMatchObject({ sessions: model.sessions.size, once: model.once.size })
}

test('endings_randomCommands_agreeWithTheModel', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const m = new DrivenMachine()
      const model = new Model()
      for (const c of list) {
        both(c, m, model)
        agree(m, model)
      }
      const expired = m.changes.filter((c) => c.stream === STREAM_KEYS && c.kind === CHANGE_EXPIRE)
      expect(expired.map((c) => `${c.topic}@${c.index}`).sort()).toEqual(model.expired.sort())
      both({ kind: 'pass', ms: 1_000 }, m, model)
      expect(m.machine.dueAt).toBe(Infinity)
    }),
    { numRuns: 400 },
  )
})

test('capture_whileThingsEnd_isStateAtItsBeginning_andGoesOnAlike', () => {
  fc.assert(
    fc.property(commands, commands, fc.constantFrom(1, 60, 100_000), (before, after, pieceBytes) => {
      const m = new DrivenMachine()
      const model = new Model()
      for (const c of before) both(c, m, model)
      const hash = m.machine.hash()
      const other = Object.assign(new DrivenMachine(), { index: m.index, now: m.now })
      const capture = m.machine.getState()
      const loader = other.machine.setState()
      const twin = new Model()
      twin.opened.push(...model.opened)
      for (const c of after) {
        both(c, m, model)
        const piece = capture.next(pieceBytes)
        if (piece !== undefined) loader.add(piece)
      }
      for (let piece; (piece = capture.next(pieceBytes)) !== undefined;) loader.add(piece)
      loader.finish()
      expect(other.machine.hash()).toBe(hash)
      for (const c of after) {
        if (c.kind === 'pass') other.passTo(other.now + c.ms)
        else {
          const reply = other.apply(encode(c, twin))
          if (c.kind === 'open') twin.opened.push(decodeOpenReply(reply)!)
        }
      }
      expect(other.index).toBe(m.index)
      expect(other.machine.hash()).toBe(m.machine.hash())
      expect(other.machine.dueAt).toBe(m.machine.dueAt)
    }),
    { numRuns: 200 },
  )
})

test('ttl_endsNotBeforeItsTime_andThenOnce', () => {
  const m = new DrivenMachine()
  m.now = 1_000
  put(m, 'k', { ttlMs: 50 })
  expect(m.machine.dueAt).toBe(1_051)
  m.now = 1_050
  m.tick()
  expect(get(m, 'k')).toBe('v')
  m.now = 1_051
  m.tick()
  expect(get(m, 'k')).toBeUndefined()
  expect(m.read(encodeGet(bytes('k'))).version).toBe(m.index)
  expect(m.changes.at(-1)).toMatchObject({
    index: m.index,
    stream: STREAM_KEYS,
    kind: CHANGE_EXPIRE,
    topic: 'k',
    payload: '',
  })
  m.now = 9_000
  m.tick()
  expect(m.changes.length).toBe(2)
})

test('write_withoutTtlOrSession_detaches', () => {
  const m = new DrivenMachine()
  const session = open(m, 60)
  for (const lifetime of [{ ttlMs: 50 }, { session }]) {
    for (const write of [
      encodePut(bytes('k'), bytes('stays')),
      encodeCondPut(bytes('k'), bytes('v'), bytes('stays')),
    ]) {
      put(m, 'k', lifetime)
      m.apply(write)
      expect(m.machine.dueAt).toBe(61)
    }
  }
  put(m, 'gone', { ttlMs: 10, session })
  m.apply(encodeDelete(bytes('gone')))
  m.apply(encodePut(bytes('gone'), bytes('again')))
  m.passTo(10_000)
  expect([get(m, 'k'), get(m, 'gone')]).toEqual(['stays', 'again'])
})

test('session_ends_allItsKeysInOneEntry', () => {
  const m = new DrivenMachine()
  const session = open(m, 100)
  for (let i = 0; i < 3_000; i++) put(m, `k${i}`, { session })
  put(m, 'other', { ttlMs: 100_000 })
  m.apply(encodeKeepAlive([session]))
  m.now = 101
  m.tick()
  expect(m.machine.counts).toMatchObject({ keys: 1, sessions: 0 })
  const ended = m.changes.filter((c) => c.index === m.index)
  expect(ended.length).toBe(3_001)
  expect(ended.at(-1)).toMatchObject({ stream: STREAM_SESSIONS, kind: CHANGE_SESSION_END, payload: '\0' })
  expect(decodeKeepAliveReply(m.apply(encodeKeepAlive([session])))).toEqual([session])
  expect(put(m, 'k', { session })).toEqual({ kind: 'sessionEnded', session })
})

test('session_closedThenListed_isGoneAndItsKeysWithIt', () => {
  const m = new DrivenMachine()
  const [first, second] = [open(m, 100), open(m, 200)]
  put(m, 'k', { session: first })
  put(m, 'l', { session: second })
  // The key changes hands.
  put(m, 'm', { session: first })
  put(m, 'm', { session: second })
  expect(m.apply(encodeEndSession(first, END_CLOSED))).toEqual(Uint8Array.of(1))
  expect(m.apply(encodeEndSession(first, END_CLOSED))).toEqual(Uint8Array.of(0))
  expect([get(m, 'k'), get(m, 'l'), get(m, 'm')]).toEqual([undefined, 'v', 'v'])
  const query = encodeRange({ table: TABLE_SESSIONS, prefix: bytes(''), after: bytes(''), limit: 10 })
  const listed = decodeRangeReply(m.read(query).reply).entries.map((e) => decodeSession(e.key, e.value))
  expect(listed).toEqual([{ id: second, ttlMs: 200, expiry: 201, keys: 2, name: bytes('') }])
})

test('session_ofMaxKeys_refusesOneMore', () => {
  const m = new DrivenMachine()
  const session = open(m, 100)
  for (let i = 0; i < MAX_SESSION_KEYS; i++) put(m, `k${i}`, { session })
  expect(put(m, 'more', { session })).toEqual({ kind: 'full', of: 1 })
  expect(get(m, 'more')).toBeUndefined()
  expect(put(m, 'k7', { session })).toMatchObject({ kind: 'ok', existed: true })
  m.apply(encodeDelete(bytes('k7')))
  expect(put(m, 'more', { session }).kind).toBe('ok')
})

test('tick_manyDue_endsSoManyAndStaysDue', () => {
  const m = new DrivenMachine()
  for (let i = 0; i < 2_500; i++) put(m, `k${i}`, { ttlMs: 10 })
  m.now = 11
  const left: number[] = []
  while (m.machine.dueAt <= m.now) {
    m.tick()
    left.push(m.machine.counts.keys)
  }
  expect(left).toEqual([1_500, 500, 0])
})

test('idempotencyKey_repeated_sameAnswerNothingWritten', () => {
  const m = new DrivenMachine()
  const key = bytes('order-7')
  const write = (operation: Uint8Array, anyValue = false) =>
    decodeWriteReply(m.apply(encodeOnce({ key, keepMs: 1_000, anyValue }, operation)))
  const first = write(encodePut(bytes('k'), bytes('v'), { ifVersion: 0 }))
  expect(first).toEqual({ kind: 'ok', version: 1, existed: false })
  m.apply(encodePut(bytes('k'), bytes('later')))
  expect(write(encodePut(bytes('k'), bytes('v'), { ifVersion: 0 }))).toEqual(first)
  expect(get(m, 'k')).toBe('later')
  expect(m.changes.length).toBe(2)
  for (const other of [encodePut(bytes('k'), bytes('w'), { ifVersion: 0 }), encodeDelete(bytes('k'))]) {
    expect(write(other)).toEqual({ kind: 'reused' })
  }
  expect(write(encodePut(bytes('k'), bytes('v'), { ifVersion: 0 }), true)).toEqual({ kind: 'reused' })
  m.passTo(1_001)
  expect(write(encodeDelete(bytes('k')))).toEqual({ kind: 'ok', version: m.index, existed: true })
})

test('idempotencyKey_ofWhatWasNotWritten_isNotRemembered', () => {
  const m = new DrivenMachine()
  const write = (operation: Uint8Array) =>
    decodeWriteReply(m.apply(encodeOnce({ key: bytes('i'), keepMs: 1_000 }, operation)))
  const condPut = encodeCondPut(bytes('k'), bytes('a'), bytes('b'))
  expect(write(condPut)).toEqual({ kind: 'mismatch', current: undefined })
  m.apply(encodePut(bytes('k'), bytes('a')))
  expect(write(condPut)).toMatchObject({ kind: 'ok' })
  expect(write(condPut)).toMatchObject({ kind: 'ok', version: m.index - 1 })
})

test('idempotencyKey_ofAnUpdate_answersWithWhatWasWritten', () => {
  const m = new DrivenMachine()
  const update = (key: string, operation: Uint8Array) =>
    decodeWriteReply(m.apply(encodeOnce({ key: bytes(key), keepMs: 1_000, anyValue: true }, operation)))
  expect(update('i', encodePut(bytes('k'), bytes('1'), { ifVersion: 0 }))).toEqual({
    kind: 'ok',
    version: 1,
    existed: false,
  })
  const again = update('i', encodePut(bytes('k'), bytes('2'), { ifVersion: 1 }))
  expect(again).toEqual({ kind: 'ok', version: 1, existed: false, before: { value: bytes('1') } })
  expect(update('i', encodePut(bytes('l'), bytes('2'), { ifVersion: 0 }))).toEqual({ kind: 'reused' })
  expect(update('j', encodeDelete(bytes('k'), { ifVersion: 1 }))).toMatchObject({ kind: 'ok', existed: true })
  expect(update('j', encodePut(bytes('k'), bytes('3'), { ifVersion: 0 }))).toMatchObject({
    kind: 'ok',
    before: { value: undefined },
  })
  expect(get(m, 'k')).toBeUndefined()
})

test('load_anotherFormat_isRefused', () => {
  const m = new DrivenMachine()
  const piece = m.machine.getState().next(1_000)!.slice()
  piece[1] = 1
  expect(() => new KvMachine(nodeBytes).setState().add(piece)).toThrow('state format 1 is not known')
})
