// The codec refuses every malformed operation and query by name, and never anything well-formed.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_VALUE_BYTES } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import {
  encodeCondPut,
  encodeCount,
  encodeDelete,
  encodeGet,
  encodeGetMany,
  encodePut,
  encodeRange,
  KvMachine,
} from '@coppice/vkv/core'
import { encodeAcquire, encodeRelease, encodeRenew } from '@coppice/vkv/internal'
import { bytes } from './machine-help.js'

const machine = new KvMachine(nodeBytes)
const operationProblem = (b: Uint8Array) => machine.validateOperation(b, 0, b.length)
const queryProblem = (b: Uint8Array) => machine.validateQuery(b, 0, b.length)

const key = fc.uint8Array({ minLength: 1, maxLength: 40 })
const value = fc.uint8Array({ maxLength: 60 })
const guards = fc.array(fc.record({ lock: key, fence: fc.nat() }), { maxLength: 3 })
const operation = fc.oneof(
  fc
    .tuple(key, value, guards, fc.option(fc.nat(), { nil: undefined }))
    .map(([k, v, g, i]) => encodePut(k, v, { guards: g, ifVersion: i })),
  fc.tuple(key, guards).map(([k, g]) => encodeDelete(k, { guards: g })),
  fc
    .tuple(key, fc.option(value, { nil: undefined }), fc.option(value, { nil: undefined }), guards)
    .map(([k, e, n, g]) => encodeCondPut(k, e, n, g)),
  fc.tuple(key, fc.uint8Array({ minLength: 1, maxLength: 64 })).map(([k, o]) => encodeAcquire(k, o, 1_000, 10)),
  fc.tuple(key, fc.uint8Array({ minLength: 1, maxLength: 64 })).map(([k, o]) => encodeRenew(k, o, 7, 1_000)),
  fc.tuple(key, fc.uint8Array({ minLength: 1, maxLength: 64 })).map(([k, o]) => encodeRelease(k, o, 7)),
)

test('operation_wellFormed_accepted', () => {
  fc.assert(
    fc.property(operation, (op) => {
      expect(operationProblem(op)).toBeUndefined()
    }),
  )
})

test('operation_insideLargerBuffer_accepted', () => {
  fc.assert(
    fc.property(operation, (op) => {
      const b = new Uint8Array(op.length + 20).fill(255)
      b.set(op, 10)
      expect(machine.validateOperation(b, 10, 10 + op.length)).toBeUndefined()
    }),
  )
})

test('operation_anyBytes_neverThrows', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (b) => {
      const problem = operationProblem(b)
      expect(problem === undefined || problem.length > 0).toBe(true)
      queryProblem(b)
    }),
  )
})

test('lockOperation_cutAnywhereOrLonger_refused', () => {
  const op = encodeRenew(bytes('name'), bytes('owner'), 7, 1_000)
  for (let n = 0; n < op.length; n++) expect(operationProblem(op.subarray(0, n))).toBeTypeOf('string')
  expect(operationProblem(new Uint8Array([...op, 0]))).toBe('renew: 1 bytes too many')
})

test('query_cutAnywhereOrLonger_refused', () => {
  const many = encodeGetMany([bytes('a'), bytes('bc')], [{ lock: bytes('l'), fence: 3 }])
  const range = encodeRange({ table: 0, prefix: bytes('p'), after: bytes('pa'), limit: 5 })
  const count = encodeCount(1, { prefix: bytes('p'), end: bytes('pz') })
  for (const query of [encodeGet(bytes('key')), many, range, count]) {
    expect(queryProblem(query)).toBeUndefined()
    for (let n = 0; n < query.length; n++) expect(queryProblem(query.subarray(0, n))).toBeTypeOf('string')
    expect(queryProblem(new Uint8Array([...query, 0]))).toMatch(/1 bytes too many/)
  }
})

test.each([
  ['unknown operation', new Uint8Array([99]), 'unknown operation 99'],
  ['empty operation', new Uint8Array(0), 'operation is empty'],
  ['key over 1 KiB', encodePut(new Uint8Array(1025), bytes('v')), 'put: key of 1025 bytes is above the limit of 1024'],
  ['empty key', encodePut(bytes(''), bytes('v')), 'put: key is empty'],
  [
    'value over 16 MiB',
    encodePut(bytes('k'), new Uint8Array(MAX_VALUE_BYTES + 1)),
    'put: value of 16777217 bytes is above the limit of 16777216',
  ],
  ['delete with a tail', new Uint8Array([...encodeDelete(bytes('k')), 1]), 'delete: 1 bytes too many'],
  [
    'owner too long',
    encodeRelease(bytes('l'), new Uint8Array(65), 1),
    'release: owner of 65 bytes is above the limit of 64',
  ],
  ['lock without ttl', encodeAcquire(bytes('l'), bytes('o'), 0, 0), 'acquire: ttl is zero'],
])('operation_%s_namesWhatIsWrong', (_, op, message) => {
  expect(operationProblem(op)).toBe(message)
})

test.each([
  ['unknown query', new Uint8Array([77]), 'unknown query 77'],
  ['key over 1 KiB', encodeGet(new Uint8Array(1025)), 'get: key of 1025 bytes is above the limit of 1024'],
  ['limit of zero', encodeRange({ table: 0, prefix: bytes(''), after: bytes(''), limit: 0 }), /limit 0 is not between/],
])('query_%s_namesWhatIsWrong', (_, query, message) => {
  expect(queryProblem(query)).toMatch(message)
})
