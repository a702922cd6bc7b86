// The core in whole conversations: three cores, perfect or precisely broken network (PROTOCOL 2–6).
import { describe, expect, it } from 'vitest'
import { bigReplyOp } from './harness/counter-machine.js'
import { packed } from './harness/clerk.js'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const value = (s: Setup, id: string, key: number): number => s.c.server(id).machine.counters.get(key)?.value ?? 0
const hashes = (s: Setup, ids: string[]): Set<string> => new Set(ids.map((id) => s.c.view(id).stateHash()))

describe('put path', () => {
  it('put_applied_at_all_members_and_acked_once_committed', () => {
    const s = startCluster()
    addAll(s, [1, 1, 2])
    s.c.run(200)
    for (const id of ['a', 'b', 'c']) expect(value(s, id, 1)).toBe(2)
    expect(hashes(s, ['a', 'b', 'c']).size).toBe(1)
    expect(s.c.view('b').commitIndex).toBe(s.c.view('a').nextIndex)
    expect(s.clerk.problems).toEqual([])
  })

  it('ack_needs_every_member_durable', () => {
    const s = startCluster()
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(500)
    expect(s.clerk.open).toBe(1)
    expect(value(s, 'b', 1)).toBe(1)
    s.c.cut.clear()
    expect(s.c.run(500, () => s.clerk.open === 0)).toBe(true)
  })

  it('append_lost_is_sent_again', () => {
    const s = startCluster()
    s.c.cut.add('a>b')
    s.clerk.add([1])
    s.c.run(20)
    s.clerk.add([1])
    s.c.run(20)
    s.c.cut.clear()
    expect(s.c.run(1_000, () => s.clerk.open === 0)).toBe(true)
    expect(value(s, 'b', 1)).toBe(2)
  })

  it('append_lost_in_the_middle_only_the_hole_is_sent_again', () => {
    const s = startCluster()
    const appends = (): { prevIndex: number }[] =>
      s.c.sent.filter((m) => m.to === 'b' && m.message.kind === 'append').map((m) => m.message as never)
    s.c.cut.add('a>b')
    s.clerk.add([1])
    s.c.run(20)
    s.c.cut.clear()
    const lost = appends().at(-1)!.prevIndex
    // Enough to make a record of its own beside the one that is under way.
    s.clerk.add(Array.from({ length: 30 }, () => 2))
    s.c.run(20)
    const early = appends().at(-1)!.prevIndex
    expect(early).toBeGreaterThan(lost)
    expect(value(s, 'b', 2)).toBe(0)
    expect(s.c.run(1_000, () => s.clerk.open === 0)).toBe(true)
    const sent = appends().map((m) => m.prevIndex)
    expect(sent.filter((index) => index === lost)).toHaveLength(2)
    expect(sent.filter((index) => index === early)).toHaveLength(1)
    expect(value(s, 'b', 2)).toBe(30)
  })

  it('append_ack_lost_is_repeated', () => {
    const s = startCluster()
    s.c.cut.add('b>a')
    s.clerk.add([1])
    s.c.run(50)
    s.c.cut.clear()
    expect(s.c.run(500, () => s.clerk.open === 0)).toBe(true)
  })

  it('appends_reordered_and_duplicated_apply_once_in_order', () => {
    const s = startCluster({ seed: 5 })
    s.c.faults.delayMs = 60
    s.c.faults.duplicate = 0.5
    for (let i = 0; i < 40; i++) {
      s.clerk.add([i % 3])
      s.c.run(3)
    }
    const resend = (): void => {
      s.clerk.resend()
      s.c.after(100, resend)
    }
    resend()
    expect(s.c.run(8_000, () => s.clerk.open === 0)).toBe(true)
    s.c.run(1_000)
    expect(value(s, 'a', 0) + value(s, 'a', 1) + value(s, 'a', 2)).toBe(40)
    expect(hashes(s, ['a', 'b', 'c']).size).toBe(1)
  })

  it('records_grow_while_two_are_on_their_way_to_the_disk', () => {
    const s = startCluster()
    s.c.faults.diskMs = 50
    for (let i = 0; i < 30; i++) {
      s.clerk.add([1])
      s.c.run(1)
    }
    s.c.run(1_000, () => s.clerk.open === 0)
    expect(s.clerk.open).toBe(0)
    expect(s.c.server('a').disk.records.length).toBeLessThan(12)
  })

  it('invalid_operation_refused_before_it_has_an_index', () => {
    const s = startCluster()
    const next = s.c.view('a').nextIndex
    const ops = packed([Uint8Array.of(1, 1), Uint8Array.of(255), Uint8Array.of(1, 1)])
    const { clerkId } = s.clerk
    s.c.client('a', 1, { kind: 'requests', clerkId, firstRequestId: 1, firstIncomplete: 1, count: 3, ops })
    s.c.run(100)
    expect(s.c.view('a').nextIndex).toBe(next + 1)
    const refused = s.clerk.replies.filter((r) => r.kind === 'refused')
    expect(refused).toMatchObject([
      { reason: 'invalid', firstId: 2, count: 1, expected: 2, message: 'an operation has a key and a delta' },
      { reason: 'outOfOrder', firstId: 3, count: 1, expected: 2 },
    ])
  })

  it('backup_says_who_is_primary', () => {
    const s = startCluster()
    s.clerk.primary = 'b'
    s.clerk.add([1])
    s.c.run(50)
    expect(s.clerk.replies.at(-1)).toMatchObject({ kind: 'refused', reason: 'moved', primary: 'a', epoch: 1 })
  })
})

describe('exactly once', () => {
  it('duplicate_answered_from_the_table_only_when_the_original_is_committed', () => {
    const s = startCluster()
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(20)
    const before = s.clerk.replies.length
    s.clerk.resend()
    s.c.run(50)
    expect(s.clerk.replies.length).toBe(before)
    s.c.cut.clear()
    s.c.run(500, () => s.clerk.open === 0)
    s.c.run(50)
    expect(s.clerk.replies.filter((r) => r.kind === 'replies').length).toBe(2)
    expect(value(s, 'a', 1)).toBe(1)
  })

  it('register_with_the_same_nonce_keeps_its_id', () => {
    const s = startCluster()
    const { clerkId } = s.clerk
    s.clerk.register()
    s.c.run(50)
    expect(s.clerk.replies.filter((r) => r.kind === 'registered').map((r) => r.clerkId)).toEqual([clerkId, clerkId])
  })

  it('request_out_of_order_told_what_is_expected', () => {
    const s = startCluster()
    const ops = packed([Uint8Array.of(1, 1)])
    s.c.client('a', 1, {
      kind: 'requests',
      clerkId: s.clerk.clerkId,
      firstRequestId: 3,
      firstIncomplete: 1,
      count: 1,
      ops,
    })
    s.c.run(50)
    expect(s.clerk.replies.at(-1)).toMatchObject({ reason: 'outOfOrder', expected: 1 })
  })

  it('skip_answers_what_executed_and_cancels_the_rest', () => {
    const s = startCluster()
    addAll(s, [1, 1])
    s.c.client('a', 1, { kind: 'skip', clerkId: s.clerk.clerkId, from: 2, to: 4, firstIncomplete: 1 })
    s.c.run(100)
    const replies = s.clerk.replies.filter((r) => r.kind === 'replies').slice(-2)
    expect(
      replies.map((r) => [r.firstRequestId, r.count, [...r.replies.buffer.subarray(r.replies.start, r.replies.end)]]),
    ).toEqual([
      [2, 1, [0, 4, 0, 0, 0, 2, 0, 0, 0]],
      [3, 2, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
    ])
    const ops = packed([Uint8Array.of(1, 1)])
    s.c.client('a', 1, {
      kind: 'requests',
      clerkId: s.clerk.clerkId,
      firstRequestId: 4,
      firstIncomplete: 1,
      count: 1,
      ops,
    })
    s.c.run(100)
    expect(value(s, 'a', 1)).toBe(2)
  })

  it('unknown_clerk_told_that_it_expired', () => {
    const s = startCluster({ leases: false })
    const ops = packed([Uint8Array.of(1, 1)])
    s.c.client('a', 1, { kind: 'requests', clerkId: 77, firstRequestId: 1, firstIncomplete: 1, count: 1, ops })
    s.c.run(100)
    expect(s.clerk.expired).toBe(true)
  })

  it('unknown_clerk_not_told_so_by_a_primary_that_may_be_old', () => {
    const s = startCluster({ leases: false })
    s.c.cut.add('b>a')
    const ops = packed([Uint8Array.of(1, 1)])
    s.c.client('a', 1, { kind: 'requests', clerkId: 77, firstRequestId: 1, firstIncomplete: 1, count: 1, ops })
    s.c.run(300)
    expect(s.clerk.expired).toBe(false)
  })

  it('large_reply_given_once_and_then_forgotten', () => {
    const s = startCluster()
    const { clerkId } = s.clerk
    const message = {
      kind: 'requests',
      clerkId,
      firstRequestId: 1,
      firstIncomplete: 1,
      count: 1,
      ops: packed([bigReplyOp(1)]),
    } as const
    s.c.client('a', 1, message)
    s.c.run(100)
    s.c.client('a', 1, message)
    s.c.run(100)
    const replies = s.clerk.replies.filter((r) => r.kind === 'replies')
    expect(replies.map((r) => [r.replies.buffer[0], r.replies.end - r.replies.start])).toEqual([
      [0, 70_009],
      [2, 5],
    ])
  })

  it('table_survives_into_the_next_epoch_and_a_restart', () => {
    const s = startCluster()
    addAll(s, [1, 1, 1])
    s.c.crash('a')
    change(s, ['b', 'c'])
    s.c.crash('b')
    s.c.start('b')
    change(s, ['b', 'c'])
    const ops = packed([Uint8Array.of(1, 1), Uint8Array.of(1, 1), Uint8Array.of(1, 1)])
    s.c.client('b', 1, {
      kind: 'requests',
      clerkId: s.clerk.clerkId,
      firstRequestId: 1,
      firstIncomplete: 1,
      count: 3,
      ops,
    })
    s.c.run(200)
    expect(s.clerk.replies.at(-1)).toMatchObject({ kind: 'replies', firstRequestId: 1, count: 3 })
    expect(value(s, 'b', 1)).toBe(3)
  })

  it('idle_clerk_removed_everywhere_connected_one_stays', () => {
    const s = startCluster()
    const { configuration } = s.config
    s.config.configuration = {
      ...configuration,
      version: configuration.version + 1,
      params: { ...configuration.params, clerkTtlMs: 900 },
    }
    s.c.run(500)
    s.c.client('a', 9, { kind: 'register', nonce: new Uint8Array(16).fill(9) })
    s.c.run(100)
    s.c.input('a', { kind: 'clientGone', connection: 9 })
    s.c.run(3_000)
    expect(s.c.events.filter((e) => e.name === 'clerkExpired')).toHaveLength(1)
    addAll(s, [1])
    expect(hashes(s, ['a', 'b', 'c']).size).toBe(1)
  })
})

describe('reads', () => {
  it('leased_read_at_every_member', () => {
    const s = startCluster()
    s.c.run(500)
    addAll(s, [1, 1])
    for (const id of ['a', 'b', 'c']) {
      expect(s.c.view(id).leaseValid(s.c.now)).toBe(true)
      s.clerk.read(id, 1)
    }
    s.c.run(10, () => s.clerk.openReads === 0)
    expect(s.clerk.replies.filter((r) => r.kind === 'readReplies')).toHaveLength(3)
    expect(s.c.sent.some((m) => m.message.kind === 'ping')).toBe(false)
    expect(s.clerk.problems).toEqual([])
  })

  it('read_waits_for_the_commit_of_what_it_saw', () => {
    const s = startCluster()
    s.c.run(500)
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(20)
    s.clerk.read('b', 1)
    s.clerk.read('b', 2)
    s.c.run(20)
    expect(s.clerk.replies.filter((r) => r.kind === 'readReplies')).toHaveLength(1)
    expect(s.clerk.openReads).toBe(1)
    s.c.cut.clear()
    s.c.run(500, () => s.clerk.openReads === 0)
    expect(s.clerk.replies.filter((r) => r.kind === 'readReplies')).toHaveLength(2)
  })

  it('read_that_waits_too_long_told_to_retry', () => {
    const s = startCluster()
    s.c.run(500)
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(20)
    s.clerk.read('b', 1)
    s.c.run(2_000)
    expect(s.clerk.replies.at(-1)).toMatchObject({ kind: 'refused', of: 'reads', reason: 'retry' })
  })

  it('read_without_lease_asks_all_members', () => {
    const s = startCluster({ leases: false })
    addAll(s, [1])
    s.clerk.read('b', 1)
    expect(s.c.run(100, () => s.clerk.openReads === 0)).toBe(true)
    expect(s.c.sent.filter((m) => m.message.kind === 'ping').map((m) => m.to)).toEqual(['a', 'c'])
  })

  it('read_without_lease_refused_when_a_member_is_sealed', () => {
    const s = startCluster({ leases: false })
    s.config.send('c', { kind: 'seal', group: 'main', epoch: 2, prev: 1 })
    s.c.run(50)
    s.clerk.read('b', 1)
    s.c.run(100)
    expect(s.clerk.replies.at(-1)).toMatchObject({ reason: 'retry' })
  })

  it('read_through_the_log_when_a_ping_is_lost', () => {
    const s = startCluster({ leases: false })
    addAll(s, [1])
    s.c.cut.add('a>c')
    s.clerk.read('a', 1)
    s.clerk.read('b', 1)
    s.c.run(200)
    s.c.cut.clear()
    s.c.run(400)
    expect(s.clerk.openReads).toBe(0)
    expect(s.clerk.replies.filter((r) => r.kind === 'readReplies')).toHaveLength(2)
  })

  it('replica_that_is_behind_says_so', () => {
    const s = startCluster()
    s.clerk.minIndex = 1_000
    s.clerk.read('b', 1)
    s.c.run(50)
    expect(s.clerk.replies.at(-1)).toMatchObject({ of: 'reads', reason: 'behind' })
  })

  it('lease_ends_by_the_clock_and_after_a_stall', () => {
    const s = startCluster()
    s.c.run(500)
    const at = s.c.now
    expect(s.c.view('b').leaseValid(at)).toBe(true)
    expect(s.c.view('b').leaseValid(at + 800)).toBe(false)
    s.c.input('b', { kind: 'health', wallMs: at, sleptMs: 500, freeDiskBytes: 1e12 })
    expect(s.c.view('b').leaseValid(s.c.now)).toBe(false)
  })

  it('restarted_member_reads_under_a_lease_only_after_its_primary_accepted_it', () => {
    const s = startCluster()
    addAll(s, [1])
    s.c.cut.add('a>b')
    s.c.crash('b')
    s.c.start('b')
    s.c.run(600)
    expect(s.c.view('b').activated).toBe(true)
    expect(s.c.view('b').leaseValid(s.c.now)).toBe(false)
    s.c.cut.clear()
    s.c.run(300)
    expect(s.c.view('b').leaseValid(s.c.now)).toBe(true)
  })
})

describe('epochs', () => {
  it('sealed_replica_keeps_leased_reads_until_relinquished', () => {
    const s = startCluster()
    s.c.run(500)
    addAll(s, [1])
    s.c.run(100)
    s.config.send('b', { kind: 'seal', group: 'main', epoch: 2, prev: 1 })
    s.c.run(20)
    s.clerk.read('b', 1)
    expect(s.c.run(20, () => s.clerk.openReads === 0)).toBe(true)
    expect(s.clerk.replies.at(-1)).toMatchObject({ kind: 'readReplies' })
    s.config.send('b', { kind: 'relinquish', group: 'main', epoch: 2 })
    s.c.run(300)
    expect(s.c.view('b').leaseValid(s.c.now)).toBe(false)
  })

  it('seal_refused_from_a_store_without_memory', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    s.config.send('d', { kind: 'seal', group: 'main', epoch: 2, prev: 1 })
    s.c.run(50)
    const reply = s.c.sent.findLast((m) => m.message.kind === 'sealReply')
    expect(reply?.message).toMatchObject({ ok: false, reason: 'own epoch 0 is below 1: it has lost its memory' })
  })

  it('failover_keeps_what_was_acked', () => {
    const s = startCluster()
    addAll(s, [1, 1, 1])
    s.c.crash('a')
    change(s, ['b', 'c'])
    s.clerk.primary = 'b'
    addAll(s, [1])
    expect(value(s, 'c', 1)).toBe(4)
    expect([...s.config.how]).toEqual([
      ['a', 'none'],
      ['b', 'none'],
      ['c', 'none'],
    ])
  })

  it('reply_of_an_inherited_request_leaves_in_the_new_epoch', () => {
    const s = startCluster()
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(50)
    expect(s.clerk.open).toBe(1)
    s.c.crash('c')
    change(s, ['a', 'b'])
    s.c.run(20)
    expect(s.clerk.open).toBe(0)
  })

  it('restarted_primary_never_leads_its_epoch_again', () => {
    const s = startCluster()
    addAll(s, [1])
    s.c.crash('a')
    s.c.start('a')
    s.c.run(500)
    expect(s.c.view('a')).toMatchObject({ activated: true, isPrimary: false })
    const report = s.c.sent.findLast((m) => m.from === 'a' && m.message.kind === 'report')
    expect(report?.message).toMatchObject({ cannotLead: true })
    change(s, ['a', 'b', 'c'])
    addAll(s, [1])
    expect(value(s, 'b', 1)).toBe(2)
  })

  it('activation_implies_that_everything_inherited_is_committed', () => {
    const s = startCluster()
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(50)
    s.c.crash('c')
    // The new primary cannot say anything to b.
    s.c.cut.add('a>b')
    change(s, ['a', 'b'])
    expect(s.c.view('b').commitIndex).toBe(s.c.view('b').nextIndex)
    s.clerk.read('b', 1)
    expect(s.c.run(50, () => s.clerk.openReads === 0)).toBe(true)
  })

  it('ping_not_confirmed_in_an_epoch_that_is_not_known_to_run', () => {
    const s = startCluster()
    let ended = false
    s.config.attempt(['a', 'b', 'c'], () => (ended = true), 'someEntered')
    s.c.run(2_000, () => ended)
    s.c.run(50)
    expect(s.c.view('b').meta.epoch).toBe(2)
    s.c.send('a', 'b', { kind: 'ping', epoch: 2, round: 7 } as never)
    s.c.run(20)
    expect(s.c.sent.findLast((m) => m.message.kind === 'pong')?.message).toMatchObject({
      epoch: 2,
      round: 7,
      ok: false,
    })
  })

  it('repeated_enter_changes_nothing', () => {
    const s = startCluster()
    const enter = s.c.sent.find((m) => m.message.kind === 'enter' && m.to === 'b')!
    addAll(s, [1, 1])
    const { nextIndex, meta } = s.c.view('b')
    s.config.reserved = 99
    s.c.send('c1', 'b', enter.message)
    s.c.run(100)
    expect(s.c.view('b').nextIndex).toBe(nextIndex)
    expect(s.c.view('b').meta).toEqual(meta)
    s.c.send('c1', 'b', { ...enter.message, checkpointId: 'other' } as never)
    s.c.run(100)
    const replies = s.c.sent.filter((m) => m.from === 'b' && m.message.kind === 'enterReply').slice(-2)
    expect(replies.map((r) => (r.message as unknown as { ok: boolean }).ok)).toEqual([true, false])
  })

  it('enter_that_needs_a_delta_is_acked_without_being_repeated', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    addAll(s, [1, 1, 2])
    let outcome: string | undefined
    s.config.attempt(['a', 'b', 'd'], (ok, why) => (outcome = ok ? '' : why))
    const enters = (): number => s.c.sent.filter((m) => m.to === 'd' && m.message.kind === 'enter').length
    expect(s.c.run(1_000, () => enters() > 0)).toBe(true)
    s.c.cut.add('c1>d')
    expect(s.c.run(1_000, () => outcome !== undefined)).toBe(true)
    expect(outcome).toBe('')
    expect(s.config.how.get('d')).toBe('delta')
  })

  it('suffix_that_only_one_member_has_is_cut_and_the_delta_brought', () => {
    const s = startCluster()
    addAll(s, [1])
    s.c.run(200)
    // Only a gets the next two.
    s.c.cut.add('a>b').add('a>c')
    s.clerk.add([1])
    s.c.run(20)
    s.clerk.add([1])
    s.c.run(20)
    s.c.crash('a')
    s.c.cut.clear()
    change(s, ['b', 'c'])
    s.clerk.primary = 'b'
    s.clerk.resend()
    s.c.run(500, () => s.clerk.open === 0)
    addAll(s, [2])
    s.c.start('a')
    s.c.run(500)
    change(s, ['b', 'c', 'a'], 4_000)
    addAll(s, [1])
    s.c.run(200)
    expect(s.config.how.get('a')).toBe('delta')
    expect(hashes(s, ['a', 'b', 'c']).size).toBe(1)
    expect(value(s, 'a', 1)).toBe(4)
    expect(s.c.events.some((e) => e.name === 'dataLossSuspected')).toBe(false)
  })

  it('new_member_gets_a_snapshot_when_the_log_is_gone', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    for (let i = 0; i < 60; i++) addAll(s, [i % 7])
    s.c.run(500)
    expect(s.c.view('a').base).toBeGreaterThan(1)
    change(s, ['a', 'b', 'd'], 4_000)
    expect(s.config.how.get('d')).toBe('full')
    addAll(s, [1])
    s.c.run(200)
    expect(hashes(s, ['a', 'b', 'd']).size).toBe(1)
    // Its recovery finds the same.
    s.c.crash('d')
    s.c.start('d')
    s.c.run(300)
    expect(hashes(s, ['a', 'b', 'd']).size).toBe(1)
  })

  it('member_that_learned_before_is_shipped_nothing', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    for (let i = 0; i < 60; i++) addAll(s, [i % 7])
    s.c.run(500)
    for (let i = 0; i < 20; i++) {
      s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 1, source: s.config.entry('a') })
      s.c.run(50)
    }
    expect(s.c.view('d').nextIndex).toBe(s.c.view('a').nextIndex)
    const reply = s.c.sent.findLast((m) => m.message.kind === 'learnReply')
    // The snapshot that it was rebuilt from counts.
    expect(reply?.message).toMatchObject({ state: 'ready', how: 'full' })
    expect((reply!.message as unknown as { bytes: number }).bytes).toBeGreaterThan(
      s.c.server('d').disk.snapshot!.header.totalBytes - 1,
    )
    change(s, ['d', 'a'])
    expect(s.config.how.get('d')).toBe('none')
    s.clerk.primary = 'd'
    addAll(s, [1])
    expect(hashes(s, ['d', 'a']).size).toBe(1)
  })

  it('learner_says_what_it_was_shipped', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    const learn = (attempt: string): unknown => {
      s.config.send('d', { kind: 'learn', group: 'main', attempt, epoch: 1, source: s.config.entry('a') })
      s.c.run(50)
      s.config.send('d', { kind: 'learn', group: 'main', attempt, epoch: 1, source: s.config.entry('a') })
      s.c.run(50)
      return s.c.sent.findLast((m) => m.message.kind === 'learnReply')!.message
    }
    addAll(s, [1, 2, 3])
    s.c.run(200)
    const first = learn('x') as { bytes: number }
    expect(first).toMatchObject({ state: 'ready', how: 'delta' })
    expect(first.bytes).toBeGreaterThan(0)
    // Another attempt finds everything there.
    expect(learn('y')).toMatchObject({ state: 'ready', how: 'none', bytes: 0 })
  })

  it('learner_whose_source_died_asks_the_next_one_that_is_named', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    addAll(s, [1, 2])
    s.c.run(100)
    s.c.crash('c')
    const learn = (source: string): void => {
      const attempt = `from ${source}`
      s.config.send('d', { kind: 'learn', group: 'main', attempt, epoch: 1, source: s.config.entry(source) })
    }
    learn('c')
    s.c.run(500)
    expect(s.c.view('d').nextIndex).toBe(1)
    learn('b')
    s.c.run(100)
    expect(s.c.view('d').nextIndex).toBe(s.c.view('b').commitIndex)
  })

  it('learner_whose_source_does_not_serve_asks_the_next_one_that_is_named', () => {
    // The source was never a member: it has nothing to ship.
    const s = startCluster({ ids: ['a', 'b', 'c', 'd', 'e'], members: ['a', 'b', 'c'] })
    addAll(s, [1, 2])
    s.c.run(100)
    const learn = (source: string): void =>
      s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 1, source: s.config.entry(source) })
    learn('e')
    s.c.run(50)
    expect(s.c.sent.findLast((m) => m.from === 'e' && m.to === 'd')?.message).toMatchObject({ reason: 'notServing' })
    learn('b')
    s.c.run(100)
    expect(s.c.view('d').nextIndex).toBe(s.c.view('b').commitIndex)
  })

  it('learner_stays_with_a_source_that_ships', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    for (let i = 0; i < 60; i++) addAll(s, [i % 7])
    s.c.run(500)
    const learn = (source: string): void =>
      s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 1, source: s.config.entry(source) })
    learn('c')
    s.c.run(1)
    learn('b')
    s.c.run(300)
    const asked = s.c.sent.filter((m) => m.from === 'd' && m.message.kind === 'fetchSnapshot').map((m) => m.to)
    expect(new Set(asked)).toEqual(new Set(['c']))
  })

  it('source_of_a_learner_keeps_snapshot_and_log_until_it_is_done', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    const writeMuch = (): void => {
      for (let i = 0; i < 30; i++) addAll(s, [i % 7])
      s.c.run(500)
    }
    writeMuch()
    writeMuch()
    const { base } = s.c.view('a')
    expect(base).toBeGreaterThan(1)
    s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 1, source: s.config.entry('a') })
    s.c.run(50)
    writeMuch()
    expect(s.c.view('a').base).toBe(base)
    // Nobody asked for long.
    s.c.run(11_000)
    writeMuch()
    expect(s.c.view('a').base).toBeGreaterThan(base)
  })

  it('learner_with_another_history_at_its_end_goes_back', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    addAll(s, [1])
    s.c.run(200)
    s.c.cut.add('a>b').add('a>c')
    s.clerk.add([1])
    s.c.run(20)
    s.c.crash('a')
    s.c.cut.clear()
    change(s, ['b', 'c'])
    s.clerk.primary = 'b'
    s.clerk.resend()
    s.c.run(500, () => s.clerk.open === 0)
    addAll(s, [2, 2])
    s.c.start('a')
    for (let i = 0; i < 20; i++) {
      s.config.send('a', { kind: 'learn', group: 'main', attempt: 'x', epoch: 2, source: s.config.entry('b') })
      s.c.run(50)
    }
    expect(s.c.view('a').nextIndex).toBe(s.c.view('b').nextIndex)
    change(s, ['b', 'c', 'a'])
    expect(s.config.how.get('a')).toBe('none')
    expect(hashes(s, ['a', 'b', 'c']).size).toBe(1)
  })

  it('deposed_primary_commits_nothing_and_says_moved', () => {
    const s = startCluster()
    s.c.cut.add('c1>a').add('a>b').add('a>c').add('b>a').add('c>a')
    s.clerk.add([1])
    s.c.run(1_000)
    expect(s.clerk.open).toBe(1)
    change(s, ['b', 'c'])
    expect(s.c.view('a').isPrimary).toBe(true)
    s.clerk.read('a', 1)
    s.c.run(2_000)
    expect(s.clerk.replies.at(-1)).toMatchObject({ kind: 'refused', of: 'reads', reason: 'retry' })
    s.c.cut.clear()
    s.c.run(600)
    expect(s.c.view('a').isPrimary).toBe(false)
    expect(s.clerk.primary).toBe('b')
    s.clerk.resend()
    s.c.run(500, () => s.clerk.open === 0)
    expect(value(s, 'b', 1)).toBe(1)
  })
})

describe('snapshots', () => {
  it('snapshot_taken_while_entries_are_applied_recovers_the_same_state', () => {
    const s = startCluster({ snapshotEveryBytes: 800 })
    for (let i = 0; i < 150; i++) {
      s.clerk.add([i % 30])
      s.c.run(1)
    }
    s.c.run(1_000, () => s.clerk.open === 0)
    s.c.run(500)
    expect(s.c.server('a').disk.snapshot?.header.index).toBeGreaterThan(1)
    const before = s.c.view('b').stateHash()
    const { nextIndex } = s.c.view('b')
    s.c.crash('b')
    s.c.start('b')
    expect(s.c.view('b').nextIndex).toBe(nextIndex)
    expect(s.c.view('b').stateHash()).toBe(before)
  })

  it('snapshot_that_holds_uncommitted_entries_is_discarded_when_sealed', () => {
    const s = startCluster({ snapshotEveryBytes: 40 })
    s.c.cut.add('c>a')
    for (let i = 0; i < 20; i++) {
      s.clerk.add([1])
      s.c.run(2)
    }
    s.c.run(100)
    expect(s.c.events.some((e) => e.name === 'snapshotBegun')).toBe(true)
    expect(s.c.server('a').disk.snapshot).toBeUndefined()
    s.config.send('a', { kind: 'seal', group: 'main', epoch: 2, prev: 1 })
    s.c.run(50)
    expect(s.c.events.some((e) => e.name === 'snapshotDiscarded' && e.id === 'a')).toBe(true)
  })
})
