// Records that take long to travel (PROTOCOL 2, 5 R1, R6): what is on its way is not sent twice and nobody is blamed for it, while a
// member that is stuck is still told of.
import { MAX_VALUE_BYTES } from '@coppice/protocol'
import type { ReplicaToClient, Report } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { packed, TestClerk } from './harness/clerk.js'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

type Message = { readonly kind: string; readonly record?: Uint8Array; readonly records?: Uint8Array }

const carried = (m: Message): number => (m.record ?? m.records)?.length ?? 0

/** Messages with a large record need `travelMs(to)`; small ones overtake them. */
function slowDown(s: Setup, travelMs: (to: string) => number): { large: string[] } {
  const sent: { large: string[] } = { large: [] }
  const send = s.c.send.bind(s.c)
  s.c.send = (from, to, message) => {
    if (carried(message) < MAX_VALUE_BYTES) return send(from, to, message)
    sent.large.push(`${message.kind} ${from}>${to}`)
    s.c.after(travelMs(to), () => send(from, to, message))
  }
  return sent
}

function largeOp(): Uint8Array {
  const op = new Uint8Array(MAX_VALUE_BYTES)
  op.set([1, 1])
  return op
}

/** One large operation of the clerk, as its first request; answered: `registered` clerks begin with id 1. */
function putLarge(s: Setup, requestId = 1): void {
  const ids = { firstRequestId: requestId, firstIncomplete: requestId, count: 1 }
  s.c.client('a', 1, { kind: 'requests', clerkId: s.clerk.clerkId, ...ids, ops: packed([largeOp()]) })
}

const troubles = (s: Setup): NonNullable<Report['trouble']>[] =>
  s.c.sent.flatMap(({ from, message }) => {
    const { trouble } = message as Report
    return from === 'a' && message.kind === 'report' && trouble !== undefined ? [trouble] : []
  })
const committed = (s: Setup): boolean => s.c.view('a').commitIndex === s.c.view('a').nextIndex

describe('large records', () => {
  it('record_on_its_way_is_sent_once_and_nobody_is_blamed', () => {
    const s = startCluster()
    const sent = slowDown(s, () => 1_150)
    putLarge(s)
    s.c.run(10)
    expect(s.c.run(3_000, () => committed(s))).toBe(true)
    expect(sent.large.sort()).toEqual(['append a>b', 'append a>c'])
    expect(troubles(s)).toEqual([])
  })

  it('record_that_is_here_is_not_sent_again_while_the_disk_takes_its_time', () => {
    const s = startCluster()
    const sent = slowDown(s, () => 10)
    s.c.faults.diskMs = 4_000
    putLarge(s)
    s.c.run(10)
    expect(s.c.run(6_000, () => committed(s))).toBe(true)
    expect(sent.large.length).toBe(2)
  })

  it('record_lost_is_sent_again_ever_more_slowly', () => {
    const s = startCluster()
    const sent = slowDown(s, () => 10)
    s.c.cut.add('a>b')
    putLarge(s)
    s.c.run(8_000)
    const copies = sent.large.filter((x) => x === 'append a>b').length
    expect(copies).toBeGreaterThan(1)
    expect(copies).toBeLessThan(5)
    s.c.cut.clear()
    expect(s.c.run(10_000, () => committed(s))).toBe(true)
  })

  it('member_that_does_not_move_is_told_of_after_the_time_its_bytes_may_take', () => {
    const s = startCluster()
    slowDown(s, (to) => (to === 'c' ? 1e9 : 10))
    putLarge(s)
    // T_fail and 4 MiB/s: 1 s + 4 s.
    s.c.run(4_900)
    expect(troubles(s)).toEqual([])
    s.c.run(600)
    expect(troubles(s)[0]).toMatchObject({ kind: 'uncommitted', waitingFor: ['c'] })
  })

  it('small_operation_of_a_stuck_member_is_told_of_after_t_fail', () => {
    const s = startCluster()
    s.c.cut.add('a>c')
    s.clerk.add([1])
    s.c.run(950)
    expect(troubles(s)).toEqual([])
    s.c.run(400)
    expect(troubles(s)[0]).toMatchObject({ kind: 'uncommitted', waitingFor: ['c'] })
  })

  // The answer came later than the next question, and was refused as the answer to an older one: for ever.
  it('record_that_travels_longer_than_the_pause_between_two_questions_arrives_in_one_copy', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    addAll(s, [1, 2])
    putLarge(s, 3)
    s.c.run(10)
    expect(s.c.run(2_000, () => committed(s))).toBe(true)
    const sent = slowDown(s, () => 1_300)
    change(s, ['a', 'b', 'd'])
    expect(sent.large.map((x) => x.slice(0, 8))).toEqual(['logChunk'])
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
  })
})

describe('large requests', () => {
  /** Clerks of their own, registered, and all that is said to clients. */
  function more(s: Setup, count: number): { clerks: TestClerk[]; heard: ReplicaToClient[] } {
    const clerks = Array.from({ length: count }, (_, i) => new TestClerk(s.c, 10 + i, 'a'))
    const heard: ReplicaToClient[] = []
    s.c.onClient = (server, connection, message) => {
      heard.push(message)
      for (const clerk of [s.clerk, ...clerks]) if (clerk.connection === connection) clerk.on(server, message)
    }
    for (const clerk of clerks) clerk.register()
    s.c.run(100, () => clerks.every((clerk) => clerk.clerkId > 0))
    s.c.run(50)
    return { clerks, heard }
  }
  const send = (s: Setup, clerk: TestClerk, requestId = 1): void => {
    const ids = { clerkId: clerk.clerkId, firstRequestId: requestId, firstIncomplete: 1, count: 1 }
    s.c.client('a', clerk.connection, { kind: 'requests', ...ids, ops: packed([largeOp()]) })
  }
  const added = (s: Setup, id: string): number => s.c.server(id).machine.counters.get(1)?.value ?? 0
  const kinds = (heard: readonly ReplicaToClient[]): string[] =>
    heard.map((m) => (m.kind === 'refused' ? m.reason : m.kind)).filter((kind) => kind !== 'registered')

  it('several_at_once_enter_the_log_one_after_the_other_and_small_ones_pass', () => {
    const s = startCluster()
    const { clerks, heard } = more(s, 3)
    slowDown(s, () => 100)
    for (const clerk of clerks) send(s, clerk)
    s.c.run(20)
    const { nextIndex, commitIndex } = s.c.view('a')
    expect(nextIndex - commitIndex).toBe(1)
    s.clerk.add([2])
    s.c.run(5)
    expect(s.c.view('a').nextIndex).toBe(nextIndex + 1)
    expect(s.c.run(3_000, () => added(s, 'a') === 3 && committed(s))).toBe(true)
    s.c.run(100)
    expect(kinds(heard)).toEqual(['replies', 'replies', 'replies', 'replies'])
    expect(s.c.view('b').stateHash()).toBe(s.c.view('a').stateHash())
  })

  it('those_of_one_session_keep_their_order_and_are_executed_once_however_often_they_are_sent', () => {
    const s = startCluster()
    const { clerks, heard } = more(s, 1)
    slowDown(s, () => 100)
    for (const id of [1, 2, 3, 2, 3]) {
      send(s, clerks[0]!, id)
      s.c.run(5)
    }
    expect(s.c.run(3_000, () => added(s, 'b') === 3 && committed(s))).toBe(true)
    s.c.run(100)
    expect(kinds(heard)).toEqual(['replies', 'replies', 'replies'])
    expect(added(s, 'a')).toBe(3)
  })

  it('skip_comes_after_what_waits', () => {
    const s = startCluster()
    const { clerks, heard } = more(s, 1)
    const { clerkId, connection } = clerks[0]!
    slowDown(s, () => 100)
    for (const id of [1, 2]) {
      send(s, clerks[0]!, id)
      s.c.run(5)
    }
    s.c.client('a', connection, { kind: 'skip', clerkId, from: 2, to: 2, firstIncomplete: 1 })
    s.c.run(5)
    expect(s.c.run(3_000, () => added(s, 'b') === 2 && committed(s))).toBe(true)
    s.c.run(100)
    expect(kinds(heard)).toEqual(['replies', 'replies', 'replies'])
  })

  it('request_that_waits_when_the_epoch_ends_is_told_to_move', () => {
    const s = startCluster()
    const { clerks, heard } = more(s, 2)
    slowDown(s, () => 400)
    for (const clerk of clerks) send(s, clerk)
    s.c.run(20)
    change(s, ['b', 'c'])
    expect(kinds(heard)).toContain('moved')
    expect(added(s, 'b')).toBe(1)
  })
})
