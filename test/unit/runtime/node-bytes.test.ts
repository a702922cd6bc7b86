import { crc32 } from 'node:zlib'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { expect, test } from 'vitest'

const all = Uint8Array.from({ length: 256 }, (_, i) => i)

test('latin1_isOneCharPerByte_andBack', () => {
  const text = nodeBytes.latin1(all, 0, 256)
  expect([...text].map((char) => char.charCodeAt(0))).toEqual([...all])
  const target = new Uint8Array(258)
  expect(nodeBytes.writeLatin1(target, text, 1)).toBe(256)
  expect(target.subarray(1, 257)).toEqual(all)
  expect(nodeBytes.latin1(all, 65, 68)).toBe('ABC')
})

test('utf8_ofARange_andItsLength', () => {
  const text = 'Hain – 灌木 🌳'
  const target = new Uint8Array(64)
  const n = nodeBytes.writeUtf8(target, text, 3)
  expect(n).toBe(nodeBytes.utf8Length(text))
  expect(nodeBytes.utf8(target, 3, 3 + n)).toBe(text)
  expect(nodeText.decode(nodeText.encode(text))).toBe(text)
})

test('encodedText_isAPlainArray_soThatSliceCopies', () => {
  const bytes = nodeText.encode('abc')
  expect(bytes.constructor).toBe(Uint8Array)
})

test('crc32_isThatOfZlib_overTheRange', () => {
  expect(nodeBytes.crc32(all, 10, 200)).toBe(crc32(all.subarray(10, 200)))
})
