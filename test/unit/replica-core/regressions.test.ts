// What went wrong once in the core, each case by its name and the rule it belongs to.
import { MAX_MESSAGE_BYTES } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { packed } from './harness/clerk.js'
import { addOp, bigReplyOp, readOp } from './harness/counter-machine.js'
import { addAll, change, startCluster } from './harness/setup.js'
import { testBytes } from './harness/bytes.js'
import { GENESIS_LINEAGE } from '@coppice/protocol'
import type { DiskWrite } from '@coppice/replica'
import { ChangeLog } from '../../../packages/replica/src/core/change-log.js'
import { ClerkTable } from '../../../packages/replica/src/core/exactly-once.js'
import type { Replication } from '../../../packages/replica/src/core/replication.js'
import type { Shared } from '../../../packages/replica/src/core/shared.js'
import { Snapshots } from '../../../packages/replica/src/core/snapshots.js'

describe('replication', () => {
  // R1: it had acked what it held in memory; the primary believed that for ever, sent nothing again and committed nothing any more.
  it('backup_that_restarts_within_an_epoch_is_sent_again_what_only_its_memory_held', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const s = startCluster({ seed })
      s.c.faults.diskMs = 60
      for (let i = 0; i < 30; i++) {
        s.clerk.add([1])
        s.c.run(5)
      }
      s.c.run(60, () => s.c.view('b').nextIndex - s.c.view('b').durableIndex > 5)
      s.c.crash('b')
      s.c.faults.diskMs = 0.2
      s.c.run(20)
      s.c.start('b')
      expect(s.c.run(2_000, () => s.clerk.open === 0)).toBe(true)
      expect(s.c.view('b').meta.epoch).toBe(1)
    }
  })
})

describe('answers', () => {
  const sizes = (
    replies: readonly { kind: string; replies?: { start: number; end: number } }[],
    kind: string,
  ): number[] => replies.filter((r) => r.kind === kind).map((r) => r.replies!.end - r.replies!.start)

  // A message above the limit closes its connection; asked again, it was as large again.
  it('reads_of_one_frame_are_answered_in_messages_that_can_be_received', () => {
    const s = startCluster()
    addAll(s, [1])
    const { machine } = s.c.server('a')
    machine.padding = 200_000
    s.clerk.replies.length = 0
    const ops = packed(Array.from({ length: 300 }, () => readOp(1)))
    const message = { kind: 'reads', firstReadId: 1, minEpoch: 0, minIndex: 0, stale: false, count: 300, ops } as const
    s.c.client('a', 1, message)
    s.c.run(300)
    const answered = s.clerk.replies.filter((r) => r.kind === 'readReplies').map((r) => r.count)
    const refused = s.clerk.replies.flatMap((r) => (r.kind === 'refused' ? [[r.reason, r.count]] : []))
    expect(Math.max(...sizes(s.clerk.replies, 'readReplies'))).toBeLessThan(MAX_MESSAGE_BYTES / 2)
    // What one frame may ask for is bounded; the rest is told to come again.
    const total = answered.reduce((a, b) => a + b, 0)
    expect(total * 200_000).toBeLessThan(2 * MAX_MESSAGE_BYTES)
    expect(refused).toEqual([['overloaded', 300 - total]])
  })

  it('replies_of_one_frame_leave_in_messages_that_can_be_received', () => {
    const s = startCluster()
    s.clerk.replies.length = 0
    const { clerkId } = s.clerk
    const ops = packed([...Array.from({ length: 1_000 }, () => bigReplyOp(1)), addOp(1)])
    const run = { kind: 'requests', clerkId, firstRequestId: 1, firstIncomplete: 1, count: 1_001, ops } as const
    s.c.client('a', 1, run)
    s.c.run(300)
    const counts = s.clerk.replies.flatMap((r) => (r.kind === 'replies' ? [r.count] : []))
    expect(counts.reduce((a, b) => a + b, 0)).toBe(1_001)
    expect(Math.max(...sizes(s.clerk.replies, 'replies'))).toBeLessThan(MAX_MESSAGE_BYTES / 2)
    // Large replies are given as far as memory allows, then only that they were; the same everywhere.
    const bytes = sizes(s.clerk.replies, 'replies').reduce((a, b) => a + b, 0)
    expect(bytes).toBeLessThan(MAX_MESSAGE_BYTES + 1_001 * 9 + 70_000)
    expect(new Set(['a', 'b', 'c'].map((id) => s.c.view(id).stateHash())).size).toBe(1)
  })
})

describe('epochs', () => {
  // Epochs in which nothing was written stayed in the lineage for ever, and a SEAL's answer has room for so many.
  it('lineage_does_not_grow_by_epochs_that_wrote_nothing', () => {
    const s = startCluster()
    for (let i = 0; i < 8; i++) change(s, ['a', 'b', 'c'])
    expect(s.c.view('a').meta.epoch).toBeGreaterThan(8)
    expect(s.c.view('a').meta.lineage.length).toBeLessThan(4)
    addAll(s, [1])
    s.c.crash('b')
    s.c.start('b')
    s.c.run(300)
    expect(new Set(['a', 'b', 'c'].map((id) => s.c.view(id).stateHash())).size).toBe(1)
  })

  function ownSnapshots() {
    const written: string[] = []
    const durable: (() => void)[] = []
    const shared = {
      now: 0,
      shippingUntil: -Infinity,
      running: true,
      reloading: false,
      sealed: false,
      commitIndex: 10,
      meta: { epoch: 1, lineage: GENESIS_LINEAGE },
      options: { snapshotEveryBytes: 1, minLogBytesKept: 0 },
      log: {
        nextIndex: 10,
        base: 1,
        elapsedMs: 0,
        bytesSinceSnapshot: 2,
        bytesWritten: 2,
        snapshotBytes: 0,
        cutPoint: () => 1,
        snapshotCommitted: () => undefined,
      },
      table: new ClerkTable(testBytes),
      changes: new ChangeLog(),
      rules: { digest: 'd' },
      machine: { getState: () => ({ next: () => undefined, release: () => undefined }) },
      random: () => 0.5,
      event: () => undefined,
      write: (writes: readonly DiskWrite[], _: number, then?: () => void) => {
        for (const w of writes) written.push(w.kind)
        if (then !== undefined) durable.push(then)
      },
    }
    const snapshots = new Snapshots(shared as unknown as Shared, { close: () => undefined } as unknown as Replication)
    return { snapshots, shared, written, durable }
  }

  // The installed snapshot would be replaced by one of a log that is gone.
  it('own_snapshot_never_becomes_the_newest_behind_an_installed_one', () => {
    const { snapshots, shared, written, durable } = ownSnapshots()
    for (let i = 0; i < 4; i++) {
      shared.now = i
      snapshots.capture()
    }
    expect(written).toEqual(['snapshotChunk'])
    // Here the write that installs another server's snapshot is begun.
    shared.reloading = true
    for (const run of durable) run()
    expect(written).toEqual(['snapshotChunk'])
  })

  // The copy of a state of 104 MiB was thrown away: a snapshot that was being written when it began replaced the one that was fetched, and
  // the log that followed that was cut.
  it('own_snapshot_does_not_replace_the_one_that_is_being_fetched', () => {
    const { snapshots, shared, written, durable } = ownSnapshots()
    shared.options.snapshotEveryBytes = 2
    for (let i = 0; i < 4; i++) {
      shared.now = i
      snapshots.capture()
    }
    shared.shippingUntil = 10_000
    for (const run of durable) run()
    snapshots.maybeCommit()
    expect(written).toEqual(['snapshotChunk'])
    // Not for ever: the log behind the old one grows meanwhile.
    shared.log.bytesSinceSnapshot = 1_000
    snapshots.maybeCommit()
    expect(written).toEqual(['snapshotChunk', 'snapshotCommit'])
  })
})
