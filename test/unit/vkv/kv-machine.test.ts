// The machine against a naive model, its read versions against replays, captures taken while apply goes on.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeCountReply,
  decodeGetReply,
  decodeManyReply,
  decodeRangeReply,
  decodeWriteReply,
  encodeCondPut,
  encodeCount,
  encodeDelete,
  encodeGet,
  encodeGetMany,
  encodePut,
  encodeRange,
  KvMachine,
} from '@coppice/vkv/core'
import { encodeAcquire, encodeRelease } from '@coppice/vkv/internal'
import { nodeBytes } from '@coppice/runtime'
import { bytes, DrivenMachine, text } from './machine-help.js'
import { seeded } from './memory-clerk.js'

interface Command {
  kind: 'put' | 'delete' | 'condPut' | 'putIf' | 'lock' | 'unlock'
  key: string
  value: string
  expected: string | undefined
}
const keyNames = fc.oneof(
  fc.constantFrom('a', 'ab', 'abc', 'b', 'ba', 'z/1', 'z/2'),
  fc.string({ minLength: 1, maxLength: 3 }),
)
const values = fc.oneof(
  fc.constantFrom('', 'x', 'y'),
  fc.nat(3).map((n) => 'v'.repeat(n * 40)),
  fc.constantFrom('w'.repeat(20_000), 'z'.repeat(20_000)),
)
const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom('put', 'put', 'delete', 'condPut', 'putIf', 'lock', 'unlock'),
  key: keyNames,
  value: values,
  expected: fc.option(values, { nil: undefined }),
})

function encode(c: Command, versionOf: (key: string) => number): Uint8Array {
  switch (c.kind) {
    case 'put':
      return encodePut(bytes(c.key), bytes(c.value))
    case 'delete':
      return encodeDelete(bytes(c.key))
    case 'condPut':
      return encodeCondPut(bytes(c.key), c.expected === undefined ? undefined : bytes(c.expected), bytes(c.value))
    case 'putIf':
      return encodePut(bytes(c.key), bytes(c.value), { ifVersion: c.value === '' ? 0 : versionOf(c.key) })
    case 'lock':
      return encodeAcquire(bytes(c.key), bytes('me'), 1_000, 0)
    case 'unlock':
      return encodeRelease(bytes(c.key), bytes('me'), 0)
  }
}

test('apply_randomOperations_agreesWithMap', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
      const m = new DrivenMachine()
      const model = new Map<string, { value: string; version: number }>()
      for (const c of commands) {
        const before = model.get(c.key)
        const reply = m.apply(encode(c, (key) => model.get(key)?.version ?? 0))
        if (c.kind === 'lock' || c.kind === 'unlock') continue
        const decoded = decodeWriteReply(reply)
        const matches =
          c.kind === 'condPut'
            ? c.expected === before?.value
            : c.kind === 'putIf' && c.value === ''
              ? before === undefined
              : true
        if (!matches) {
          expect(decoded.kind).toBe('mismatch')
          if (decoded.kind === 'mismatch') expect(text(decoded.current?.value)).toBe(before?.value)
          continue
        }
        expect(decoded).toEqual({ kind: 'ok', version: m.index, existed: before !== undefined })
        if (c.kind === 'delete') model.delete(c.key)
        else model.set(c.key, { value: c.value, version: m.index })
      }
      for (const key of new Set(commands.map((c) => c.key))) {
        const found = decodeGetReply(m.read(encodeGet(bytes(key))).reply)
        expect(found && { value: text(found.value), version: found.version }).toEqual(model.get(key))
      }
      const names = [...model.keys()].sort((a, b) => Buffer.compare(bytes(a), bytes(b)))
      const many = decodeManyReply(m.read(encodeGetMany(names.map(bytes))).reply)
      expect(many.kind === 'ok' && many.entries.map((e) => text(e?.value))).toEqual(
        names.map((n) => model.get(n)!.value),
      )
      for (const prefix of ['', 'a', 'z/']) {
        const listed: string[] = []
        let after = bytes('')
        for (let more = true; more;) {
          const page = decodeRangeReply(m.read(encodeRange({ table: 0, prefix: bytes(prefix), after, limit: 2 })).reply)
          for (const e of page.entries) listed.push(text(e.key)!)
          more = page.more
          after = page.entries.at(-1)?.key ?? after
        }
        expect(listed).toEqual(names.filter((n) => n.startsWith(prefix)))
      }
    }),
    { numRuns: 150 },
  )
})

test('read_versionGiven_sameAnswerAtThatIndex', () => {
  // The definition of "depends on": replaying the log only up to the version gives the same answer.
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 40 }), keyNames, (commands, key) => {
      const m = new DrivenMachine()
      const operations = commands.map((c) => {
        const operation = encode(c, (k) => decodeGetReply(m.read(encodeGet(bytes(k))).reply)?.version ?? 0)
        m.apply(operation)
        return operation
      })
      const queries = [
        encodeGet(bytes(key)),
        encodeGetMany([bytes(key), bytes('a')]),
        encodeGetMany([bytes(key)], [{ lock: bytes('a'), fence: 1 }]),
        encodeRange({ table: 0, prefix: bytes('a'), after: bytes(''), limit: 2 }),
        encodeRange({ table: 0, prefix: bytes(''), after: bytes(key), limit: 100 }),
        encodeRange({ table: 1, prefix: bytes(''), after: bytes(''), limit: 100 }),
        encodeRange({ table: 0, limit: 2, reverse: true }),
        encodeRange({ table: 0, end: bytes(key), limit: 2, reverse: true }),
        encodeRange({ table: 0, start: bytes('ab'), end: bytes('z/2'), limit: 3, keysOnly: true }),
        encodeCount(0, { end: bytes(key) }),
        encodeCount(1, {}),
      ]
      for (const query of queries) {
        const { reply, version } = m.read(query)
        expect(version).toBeLessThanOrEqual(m.index)
        const replayed = new DrivenMachine()
        for (const operation of operations.slice(0, version)) replayed.apply(operation)
        expect(Buffer.from(replayed.read(query).reply).equals(reply)).toBe(true)
      }
    }),
    { numRuns: 150 },
  )
})

test('read_coldMissingKey_doesNotWaitForHotDeletes', () => {
  const m = new DrivenMachine()
  for (let i = 0; i < 5; i++) {
    m.apply(encodePut(bytes('hot'), bytes('x')))
    m.apply(encodeDelete(bytes('hot')))
  }
  const waits = Array.from({ length: 100 }, (_, i) => m.read(encodeGet(bytes(`cold/${i}`))).version > 0)
  expect(waits.filter(Boolean).length).toBeLessThan(3)
})

test('range_deleteBeforeItsLeafIsSplit_stillCovered', () => {
  const m = new DrivenMachine()
  const name = (i: number) => bytes(`k${String(i).padStart(4, '0')}`)
  for (let i = 0; i < 120; i++) m.apply(encodePut(name(i), bytes('v')))
  m.apply(encodeDelete(name(100)))
  const deletedAt = m.index
  // Keys in front make the leaf split, several times.
  for (let i = 0; i < 400; i++) m.apply(encodePut(bytes(`a${String(i).padStart(4, '0')}`), bytes('v')))
  const { version } = m.read(encodeRange({ table: 0, prefix: bytes('k'), after: name(99), limit: 1 }))
  expect(version).toBeGreaterThanOrEqual(deletedAt)
  // Far from it nothing is known of the delete.
  const far = m.read(encodeRange({ table: 0, prefix: bytes('a'), after: bytes('a0390'), limit: 1 }))
  expect(far.version).toBe(deletedAt + 393)
})

test('delete_thenPutEmpty_missingAndEmptyDiffer', () => {
  const m = new DrivenMachine()
  m.apply(encodePut(bytes('k'), bytes('')))
  expect(decodeGetReply(m.read(encodeGet(bytes('k'))).reply)).toEqual({ version: 1, value: bytes('') })
  m.apply(encodeDelete(bytes('k')))
  expect(decodeGetReply(m.read(encodeGet(bytes('k'))).reply)).toBeUndefined()
  expect(m.read(encodeGet(bytes('k'))).version).toBe(2)
})

test('capture_whileApplying_isStateAtItsBeginning', () => {
  fc.assert(
    fc.property(
      fc.array(command, { maxLength: 60 }),
      fc.array(fc.tuple(command, fc.boolean()), { maxLength: 60 }),
      fc.constantFrom(1, 50, 100_000),
      (before, during, pieceBytes) => {
        const m = new DrivenMachine()
        for (const c of before) m.apply(encode(c, () => 3))
        const hash = m.machine.hash()
        const index = m.index
        const capture = m.machine.getState()
        const pieces: Uint8Array[] = []
        for (const [c, pull] of during) {
          m.apply(encode(c, () => 5))
          const piece = pull ? capture.next(pieceBytes) : undefined
          if (piece !== undefined) pieces.push(piece.slice())
        }
        for (let piece; (piece = capture.next(pieceBytes)) !== undefined;) pieces.push(piece.slice())
        const loaded = new KvMachine(nodeBytes)
        const loader = loaded.setState()
        for (const piece of pieces) {
          loader.add(piece)
          piece.fill(0)
        }
        loader.finish()
        expect(loaded.hash()).toBe(hash)
        // What the loaded machine says depends on nothing newer than the capture.
        const other = Object.assign(new DrivenMachine(), { machine: loaded, index })
        for (const key of ['a', 'b', 'z/1'])
          expect(other.read(encodeGet(bytes(key))).version).toBeLessThanOrEqual(index)
      },
    ),
    { numRuns: 150 },
  )
})

test('capture_largeValueReplaced_oldOneIsGivenOut', () => {
  const m = new DrivenMachine()
  m.apply(encodePut(bytes('k'), bytes('w'.repeat(20_000))))
  const hash = m.machine.hash()
  const capture = m.machine.getState()
  m.apply(encodePut(bytes('k'), bytes('z'.repeat(20_000))))
  const loaded = new KvMachine(nodeBytes)
  const loader = loaded.setState()
  for (let piece; (piece = capture.next(100_000)) !== undefined;) loader.add(piece)
  loader.finish()
  expect(loaded.hash()).toBe(hash)
})

test('capture_manyReplacedBeforeTheirTurn_allGivenOutOnceInShortPieces', () => {
  const m = new DrivenMachine()
  const key = (i: number) => bytes(`key-${String(i).padStart(5, '0')}`)
  const fill = (text: string) => {
    for (let i = 0; i < 2_000; i++) m.apply(encodePut(key(i), bytes(text.repeat(i === 7 ? 100_000 : 100))))
  }
  fill('w')
  const hash = m.machine.hash()
  const capture = m.machine.getState()
  const pieces: Uint8Array[] = []
  // In blocks that were emptied before, too.
  for (let round = 0; round < 3; round++) {
    fill('xyz'[round]!)
    pieces.push(capture.next(30_000)!.slice())
  }
  for (let piece; (piece = capture.next(30_000)) !== undefined;) pieces.push(piece.slice())
  expect(pieces.filter((p) => p.length > 60_000)).toHaveLength(1)
  const loaded = new KvMachine(nodeBytes)
  const loader = loaded.setState()
  for (const piece of pieces) loader.add(piece)
  loader.finish()
  expect(loaded.hash()).toBe(hash)
})

test('hash_sameContentOtherOrder_equalAndSensitive', () => {
  const one = new DrivenMachine()
  const two = new DrivenMachine()
  one.apply(encodePut(bytes('a'), bytes('1')))
  one.apply(encodePut(bytes('b'), bytes('2')))
  one.apply(encodePut(bytes('c'), bytes('3')))
  one.apply(encodeDelete(bytes('c')))
  two.apply(encodePut(bytes('a'), bytes('1')))
  two.apply(encodePut(bytes('b'), bytes('2')))
  expect(two.machine.hash()).toBe(one.machine.hash())
  two.apply(encodePut(bytes('b'), bytes('2')))
  expect(two.machine.hash()).not.toBe(one.machine.hash())
})

test('load_cutOrForeignState_refused', () => {
  const m = new DrivenMachine()
  m.apply(encodePut(bytes('a'), bytes('1')))
  const piece = m.machine.getState().next(1_000_000)!
  const load = (b: Uint8Array) => {
    const loader = new KvMachine(nodeBytes).setState()
    loader.add(b)
    loader.finish()
  }
  expect(() => load(piece.slice(0, -1))).toThrow()
  expect(() => load(new Uint8Array(0))).toThrow(/no header/)
  const foreign = piece.slice()
  foreign[1] = 9
  expect(() => load(foreign)).toThrow(/format 9/)
})

/** A range forwards, backwards and as a count, against the filtered list. */
function checkSpan(m: DrivenMachine, keys: Uint8Array[], random: () => number, tail: number): void {
  const bound = (): Uint8Array | undefined =>
    random() < 0.3
      ? undefined
      : new Uint8Array(Math.floor(random() * Math.min(tail, 5))).map(() => [0, 1, 97, 255][Math.floor(random() * 4)]!)
  const span = { prefix: random() < 0.5 ? bound() : undefined, start: bound(), after: bound(), end: bound() }
  const { prefix, start, after, end } = span
  const expected = keys
    .filter(
      (k) =>
        (prefix === undefined || Buffer.compare(k.subarray(0, prefix.length), prefix) === 0) &&
        (start === undefined || Buffer.compare(k, start) >= 0) &&
        (after === undefined || after.length === 0 || Buffer.compare(k, after) > 0) &&
        (end === undefined || end.length === 0 || Buffer.compare(k, end) < 0),
    )
    .sort(Buffer.compare)
    .map((k) => Buffer.from(k).toString('hex'))
  const ask = (reverse: boolean): string[] => {
    const query = encodeRange({ table: 0, ...span, limit: 16_384, keysOnly: true, reverse })
    return decodeRangeReply(m.read(query).reply).entries.map((e) => Buffer.from(e.key).toString('hex'))
  }
  expect(ask(false)).toEqual(expected)
  expect(ask(true)).toEqual([...expected].reverse())
  expect(decodeCountReply(m.read(encodeCount(0, span)).reply)).toBe(expected.length)
}

test('range_awkwardKeys_orderedThroughInsertsAndDeletes', () => {
  // Few different bytes, zeros among them, many common prefixes and keys that are prefixes of others: what a search by a few bytes gets wrong.
  for (const [seed, tail] of [
    [1, 12],
    [2, 3],
    [3, 40],
  ] as const) {
    const random = seeded(seed)
    const m = new DrivenMachine()
    const present = new Map<string, Uint8Array>()
    const list = (): string[] => {
      const listed: string[] = []
      let after = bytes('')
      for (let more = true; more;) {
        const page = decodeRangeReply(m.read(encodeRange({ table: 0, prefix: bytes(''), after, limit: 500 })).reply)
        for (const e of page.entries) listed.push(Buffer.from(e.key).toString('hex'))
        more = page.more
        after = page.entries.at(-1)?.key ?? after
      }
      return listed
    }
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 2_000; i++) {
        const key = new Uint8Array(1 + Math.floor(random() * tail)).map(
          () => [0, 1, 97, 255][Math.floor(random() * 4)]!,
        )
        const name = Buffer.from(key).toString('hex')
        if (random() < (round % 2 === 0 ? 0.8 : 0.2)) {
          present.set(name, key)
          m.apply(encodePut(key, bytes('v')))
        } else {
          const victim = present.has(name) ? name : [...present.keys()][0]
          if (victim === undefined) continue
          m.apply(encodeDelete(present.get(victim)!))
          present.delete(victim)
        }
      }
      expect(list()).toEqual([...present.values()].sort(Buffer.compare).map((k) => Buffer.from(k).toString('hex')))
      expect(m.machine.counts.keys).toBe(present.size)
      for (let i = 0; i < 40; i++) checkSpan(m, [...present.values()], random, tail)
    }
  }
})

test('table_manyKeys_insertedUpdatedDeleted', () => {
  // Enough keys for several levels of the order and several growths of a shard, in an order that is neither sorted nor reversed.
  const m = new DrivenMachine()
  const n = 20_000
  const name = (i: number) => bytes(`key/${String((i * 7_919) % n).padStart(6, '0')}`)
  for (let i = 0; i < n; i++) m.apply(encodePut(name(i), bytes(`v${i}`)))
  for (let i = 0; i < n; i += 2) m.apply(encodePut(name(i), bytes('a much longer value than before, in another slot')))
  for (let i = 0; i < n; i++) if (i % 4 !== 0) m.apply(encodeDelete(name(i)))
  expect(m.machine.counts.keys).toBe(n / 4)
  let after = bytes('')
  const listed: string[] = []
  for (let more = true; more;) {
    const page = decodeRangeReply(m.read(encodeRange({ table: 0, prefix: bytes('key/'), after, limit: 1_000 })).reply)
    for (const e of page.entries) listed.push(text(e.key)!)
    more = page.more
    after = page.entries.at(-1)?.key ?? after
  }
  const expected = Array.from({ length: n / 4 }, (_, i) => text(name(i * 4))!).sort()
  expect(listed).toEqual(expected)
  for (let i = 0; i < n; i += 4) m.apply(encodeDelete(name(i)))
  expect(m.machine.counts.keys).toBe(0)
  m.apply(encodePut(bytes('again'), bytes('x')))
  expect(
    decodeRangeReply(m.read(encodeRange({ table: 0, prefix: bytes(''), after: bytes(''), limit: 9 })).reply).entries,
  ).toHaveLength(1)
})
