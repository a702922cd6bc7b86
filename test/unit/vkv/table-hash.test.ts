// The hash of tables, taken in slices while they change.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeBytes } from '@coppice/runtime'
import { TableCapture } from '../../../packages/vkv/src/core/capture.js'
import { TableHash } from '../../../packages/vkv/src/core/table-hash.js'
import { Table } from '../../../packages/vkv/src/core/table.js'
import { bytes } from './machine-help.js'

interface Change {
  readonly table: number
  readonly key: number
  /** Length of the new value; -1: it is removed. */
  readonly length: number
}

const change: fc.Arbitrary<Change> = fc.record({
  table: fc.nat(1),
  key: fc.nat(12),
  length: fc.constantFrom(-1, 0, 1, 9, 300, 20_000),
})

class Tables {
  readonly tables = [new Table(), new Table()] as const
  index = 0

  do({ table: number, key, length }: Change): void {
    const table = this.tables[number]!
    const name = bytes(`key-${key}`)
    const handle = table.find(name, 0, name.length)
    this.index++
    if (length >= 0) {
      const value = new Uint8Array(length).fill(this.index)
      table.put(handle, this.index, name, 0, name.length, value, 0, length)
    } else if (handle !== 0) table.remove(handle, this.index)
  }

  hashing(maxSliceBytes?: number): TableHash {
    return new TableHash(this.tables, this.index, nodeBytes, maxSliceBytes)
  }

  hash(): string {
    const hashing = this.hashing()
    while (hashing.next());
    return hashing.value
  }
}

test('hash_inSlicesWhileTablesChange_isThatOfItsBeginning', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.array(fc.tuple(change, fc.boolean(), fc.boolean()), { maxLength: 60 }),
      fc.nat(60),
      (before, during, releaseAt) => {
        const t = new Tables()
        for (const c of before) t.do(c)
        const expected = t.hash()
        // Others may walk through the same tables, and stop at any time.
        const newCapture = () => new TableCapture(t.tables, { lastIndex: t.index, elapsedMs: 0, onceBytes: 0 })
        const first = newCapture()
        const hashing = t.hashing(1)
        const last = newCapture()
        for (const [i, [c, slice, piece]] of during.entries()) {
          if (i === releaseAt) for (const capture of [last, first]) capture.release()
          t.do(c)
          if (slice) hashing.next()
          if (piece) for (const capture of [first, last]) capture.next(1)
        }
        while (hashing.next());
        expect(hashing.value).toBe(expected)
      },
    ),
    { numRuns: 300 },
  )
})

test('hash_anyDifference_isSeen', () => {
  const hashes = new Set<string>()
  const of = (...changes: Change[]): void => {
    const t = new Tables()
    for (const c of changes) t.do(c)
    hashes.add(t.hash())
  }
  of()
  of({ table: 0, key: 1, length: 5 })
  of({ table: 1, key: 1, length: 5 })
  of({ table: 0, key: 2, length: 5 })
  of({ table: 0, key: 1, length: 6 })
  of({ table: 0, key: 2, length: -1 }, { table: 0, key: 1, length: 5 }) // another version
  of({ table: 0, key: 1, length: 20_000 })
  of({ table: 0, key: 1, length: 20_001 })
  expect(hashes.size).toBe(8)
})

test('hash_released_hearsOfNoChange', () => {
  const t = new Tables()
  t.do({ table: 0, key: 1, length: 5 })
  const hashing = t.hashing(1)
  hashing.release()
  hashing.release()
  const other = t.hashing(1)
  t.do({ table: 0, key: 1, length: 6 })
  while (other.next());
  expect(hashing.value).not.toBe(other.value)
})
