// A state is captured in step with the log, in memory that is used again only when the disk has it (PROTOCOL 5, 7).
import { describe, expect, it } from 'vitest'
import { GENESIS_LINEAGE } from '@coppice/protocol'
import type { DiskWrite } from '@coppice/replica'
import { CapturePace } from '../../../packages/replica/src/core/capture-pace.js'
import { ChangeLog } from '../../../packages/replica/src/core/change-log.js'
import { ClerkTable } from '../../../packages/replica/src/core/exactly-once.js'
import type { Replication } from '../../../packages/replica/src/core/replication.js'
import type { Shared } from '../../../packages/replica/src/core/shared.js'
import { Snapshots } from '../../../packages/replica/src/core/snapshots.js'
import { SpareBytes } from '../../../packages/replica/src/core/spare-bytes.js'
import { testBytes } from './harness/bytes.js'

const MiB = 1024 * 1024

/** Snapshots of a state of so many pieces of 100 KiB, each full of its own number. */
function ofPieces(pieces: number) {
  const writes: { chunks: Extract<DiskWrite, { kind: 'snapshotChunk' }>[]; durable: () => void }[] = []
  const kinds: string[] = []
  const lent = new Uint8Array(100 * 1024)
  let given = 0
  const shared = {
    now: 0,
    running: true,
    reloading: false,
    sealed: false,
    commitIndex: 10,
    shippingUntil: -Infinity,
    meta: { epoch: 1, lineage: GENESIS_LINEAGE },
    options: { snapshotEveryBytes: 128 * MiB, minLogBytesKept: 0 },
    log: {
      nextIndex: 10,
      base: 1,
      elapsedMs: 0,
      bytesSinceSnapshot: 128 * MiB,
      bytesWritten: 128 * MiB,
      snapshotBytes: 0,
      cutPoint: () => 1,
      snapshotCommitted: () => undefined,
    },
    table: new ClerkTable(testBytes),
    changes: new ChangeLog(),
    rules: { digest: 'd' },
    machine: {
      getState: () => ({ next: () => (given < pieces ? lent.fill(++given) : undefined), release: () => undefined }),
    },
    random: () => 0.5,
    event: () => undefined,
    write: (all: readonly DiskWrite[], _: number, then?: () => void) => {
      for (const w of all) kinds.push(w.kind)
      const chunks = all.filter((w) => w.kind === 'snapshotChunk')
      if (chunks.length > 0) writes.push({ chunks, durable: then! })
    },
  }
  const snapshots = new Snapshots(shared as unknown as Shared, { close: () => undefined } as unknown as Replication)
  snapshots.capture()
  /** What the driver does when there is nothing else. */
  const captureAll = (): number => {
    const before = given
    while (snapshots.wantsCapture) snapshots.capture()
    return given - before
  }
  return { shared, snapshots, writes, kinds, captureAll }
}

describe('pace', () => {
  it('nothing_to_do_but_the_log_grows_the_capture_keeps_step', () => {
    const { shared, writes, captureAll } = ofPieces(10_000)
    let taken = 0
    for (let grown = 0; grown < 60; grown++) {
      shared.log.bytesWritten += MiB
      for (let turn = 0; turn < 8; turn++) {
        taken += captureAll()
        for (const w of writes.splice(0)) w.durable()
      }
    }
    // 128 MiB within two thirds of 128 MiB of log.
    expect(taken * 100 * 1024).toBeGreaterThan(89 * MiB)
    expect(taken * 100 * 1024).toBeLessThan(91 * MiB)
  })

  it('idle_the_capture_wakes_by_itself_and_goes_on_slowly', () => {
    const { shared, snapshots, writes, captureAll } = ofPieces(10_000)
    captureAll()
    let taken = 0
    while (shared.now < 10_000) {
      expect(snapshots.wakeAt).toBeGreaterThan(shared.now)
      shared.now = snapshots.wakeAt
      taken += captureAll()
      for (const w of writes.splice(0)) w.durable()
    }
    expect(taken * 100 * 1024).toBeGreaterThan(9 * MiB)
    expect(taken * 100 * 1024).toBeLessThan(11 * MiB)
  })

  it('the_disk_does_not_answer_the_capture_waits_without_a_timer', () => {
    const { shared, snapshots, writes, captureAll } = ofPieces(10_000)
    shared.log.bytesWritten += 100 * MiB
    captureAll()
    expect(writes).toHaveLength(1)
    expect(snapshots.wantsCapture).toBe(false)
    expect(snapshots.wakeAt).toBe(Infinity)
    writes[0]!.durable()
    expect(snapshots.wantsCapture).toBe(true)
  })

  it('dueAt_moreLog_sooner', () => {
    const pace = new CapturePace(1_000, 100 * MiB, 100 * MiB)
    expect(pace.dueAt(0, 0)).toBe(1_000)
    expect(pace.dueAt(3 * MiB, 2 * MiB)).toBeCloseTo(1_000, 6)
    expect(pace.dueAt(3 * MiB, 0)).toBeGreaterThan(pace.dueAt(3 * MiB, MiB))
  })
})

describe('transfer', () => {
  // D6: its learner would begin anew.
  const captured = (bytesSinceSnapshot: number): string[] => {
    const { shared, snapshots, writes, kinds, captureAll } = ofPieces(4)
    shared.log.bytesWritten += 100 * MiB
    shared.shippingUntil = 1_000
    shared.log.bytesSinceSnapshot = bytesSinceSnapshot
    for (let round = 0; round < 3; round++) {
      captureAll()
      for (const w of writes.splice(0)) w.durable()
    }
    if (!kinds.includes('snapshotCommit')) {
      shared.now = 1_000
      kinds.push('transfer ended')
      snapshots.maybeCommit()
    }
    return kinds.slice(5)
  }

  it('snapshot_begun_before_it_replaces_what_is_shipped_only_when_it_ended', () => {
    expect(captured(200 * MiB)).toEqual(['transfer ended', 'snapshotCommit'])
  })

  it('log_has_grown_too_long_it_waits_no_longer', () => {
    expect(captured(1_024 * MiB)).toEqual(['snapshotCommit'])
  })
})

describe('memory', () => {
  it('bytes_do_not_change_before_the_disk_has_them_and_the_last_ones_are_not_forgotten', () => {
    const { shared, writes, kinds, captureAll } = ofPieces(10)
    shared.log.bytesWritten += 100 * MiB
    const memory = new Set<ArrayBufferLike>()
    let next = 0
    for (let round = 0; round < 10; round++) {
      captureAll()
      for (const w of writes.splice(0)) {
        for (const { chunk, bytes } of w.chunks) {
          expect(chunk).toBe(next++)
          // The first one holds the log's time alone.
          if (chunk > 0) expect([...new Set(bytes.subarray(1))]).toEqual([chunk])
          if (chunk > 0) memory.add(bytes.buffer)
        }
        w.durable()
      }
    }
    expect(next).toBe(11)
    expect(memory.size).toBeLessThan(10)
    expect(kinds[kinds.length - 1]).toBe('snapshotCommit')
  })

  it('take_longerThanUsual_memoryOfItsOwn', () => {
    const spare = new SpareBytes(10)
    const usual = spare.take(4)
    const long = spare.take(11)
    spare.giveBack(long)
    spare.giveBack(usual)
    expect(spare.take(10).buffer).toBe(usual.buffer)
    expect(spare.take(10).buffer).not.toBe(long.buffer)
  })
})
