// The ring of the newest changes: order, floor, walking, and images of it that others load.
import { describe, expect, test } from 'vitest'
import { changeIndex, changeTopicEnd, CHANGE_HEADER_BYTES, readChanges } from '@coppice/protocol'
import { nodeBytes } from '@coppice/runtime'
import { ChangeLog } from '../../../packages/replica/dist/core/change-log.js'

const utf8 = new TextEncoder()

function add(log: ChangeLog, index: number, topic: string, payload: string | Uint8Array = ''): void {
  const t = utf8.encode(topic)
  const p = typeof payload === 'string' ? utf8.encode(payload) : payload
  log.index = index
  log.change(0, 1, t, 0, t.length, p, 0, p.length)
}

/** Everything in it from `from` on, as text. */
function told(log: ChangeLog, from = log.floor): string[] {
  const seen: string[] = []
  log.scan(log.seek(from), log.end, Infinity, (chunk, start, end, index) => {
    const topicEnd = changeTopicEnd(chunk, start)
    const text = Buffer.from(chunk.subarray(start + CHANGE_HEADER_BYTES, topicEnd)).toString()
    seen.push(`${index}:${text}=${Buffer.from(chunk.subarray(topicEnd, end)).toString().slice(0, 8)}`)
    return true
  })
  return seen
}

function copyOf(log: ChangeLog, pieceBytes: number, limit: number): ChangeLog {
  const capture = log.capture()
  const copy = new ChangeLog(limit)
  const loader = copy.loader()
  for (let piece = capture.next(pieceBytes); piece !== undefined; piece = capture.next(pieceBytes))
    loader.add(piece.slice())
  loader.finish(log.floor)
  return copy
}

describe('changes', () => {
  test('scan_shows_every_change_in_order_across_chunks', () => {
    const log = new ChangeLog(1_000_000)
    for (let i = 1; i <= 20_000; i++) add(log, i, `k${i % 7}`, `v${i}`)
    expect(told(log)).toEqual(Array.from({ length: 20_000 }, (_, i) => `${i + 1}:k${(i + 1) % 7}=v${i + 1}`))
    expect(told(log, 19_999)).toEqual(['19999:k0=v19999', '20000:k1=v20000'])
    expect(told(log, 30_000)).toEqual([])
  })

  test('floor_rises_with_what_is_dropped_and_nothing_above_it_is_missing', () => {
    const log = new ChangeLog(4_000)
    for (let i = 1; i <= 1_000; i++) {
      add(log, i, 'key', `${i}`)
      const kept = told(log)
      expect(kept[0]).toBe(`${log.floor}:key=${log.floor}`)
      expect(kept.length).toBe(i - log.floor + 1)
    }
    expect(log.floor).toBeGreaterThan(800)
    expect(log.end - log.start).toBeLessThanOrEqual(4_000)
  })

  test('floor_is_above_an_entry_of_which_only_a_part_is_left', () => {
    const log = new ChangeLog(4_000)
    for (let n = 0; n < 200; n++) add(log, 7, `key${n}`, 'x'.repeat(40))
    expect(log.floor).toBe(8)
    expect(told(log)).toEqual([])
    add(log, 8, 'a')
    expect(told(log)).toEqual(['8:a='])
  })

  test('large_changes_have_chunks_of_their_own_that_are_never_written_again', () => {
    const log = new ChangeLog(3 * 1024 * 1024)
    const large = new Uint8Array(300_000).fill(65)
    const lent: Uint8Array[] = []
    for (let i = 1; i <= 40; i++) {
      add(log, i, 'small', `${i}`)
      add(log, i, 'large', large)
      log.scan(log.seek(i), log.end, Infinity, (chunk, start, end) => {
        if (end - start > 200_000) lent.push(chunk.subarray(start, end))
        return true
      })
    }
    for (const [i, bytes] of lent.entries()) {
      expect(changeIndex(bytes, 0)).toBe(i + 1)
      expect(readChanges(bytes, 0, bytes.length)[0]!.payload.every((b) => b === 65)).toBe(true)
    }
  })

  test('scan_ends_where_it_is_told_and_goes_on_from_there', () => {
    const log = new ChangeLog(100_000)
    for (let i = 1; i <= 500; i++) add(log, i, 'k', `${i}`)
    const seen: number[] = []
    let at = log.start
    while (at < log.end) {
      at = log.scan(at, log.end, 100, (_, __, ___, index) => seen.push(index) > 0)
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
    const stopped = log.scan(log.start, log.end, Infinity, (_, __, ___, index) => index < 123)
    expect(log.indexAt(stopped)).toBe(123)
  })
})

describe('captures', () => {
  test.each([17, 200, 100_000])('copy_in_pieces_of_%i_is_equal_and_stays_equal', (pieceBytes) => {
    const log = new ChangeLog(20_000)
    const entry = (to: ChangeLog, i: number): void => {
      add(to, i, `k${i % 5}`, 'v'.repeat((i * 37) % 200))
      if (i % 50 === 0) add(to, i, 'large', 'L'.repeat(3_000))
    }
    for (let i = 1; i <= 700; i++) entry(log, i)
    const copy = copyOf(log, pieceBytes, 20_000)
    expect(copy.hash(nodeBytes)).toBe(log.hash(nodeBytes))
    for (let i = 701; i <= 1_500; i++) {
      entry(log, i)
      entry(copy, i)
      expect(copy.floor).toBe(log.floor)
    }
    expect(copy.hash(nodeBytes)).toBe(log.hash(nodeBytes))
    expect(told(copy)).toEqual(told(log))
  })

  test('capture_shows_the_log_as_it_was_while_it_goes_on', () => {
    const log = new ChangeLog(8_000)
    for (let i = 1; i <= 300; i++) add(log, i, 'key', `${i}`)
    const before = log.hash(nodeBytes)
    const { floor } = log
    const capture = log.capture()
    const copy = new ChangeLog(8_000)
    const loader = copy.loader()
    let i = 300
    for (let piece = capture.next(100); piece !== undefined; piece = capture.next(100)) {
      loader.add(piece.slice())
      for (let n = 0; n < 20; n++) add(log, ++i, 'key', `${i}`)
    }
    loader.finish(floor)
    expect(copy.hash(nodeBytes)).toBe(before)
  })
})
