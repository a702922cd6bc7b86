// Entries are applied when their batch has left, or when somebody looks at the state: nobody can tell the difference.
import type { ReplicaEffect, ReplicaInput } from '@coppice/replica'
import { describe, expect, it } from 'vitest'
import { packed } from './harness/clerk.js'
import { addOp, readOp } from './harness/counter-machine.js'
import { addAll, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

/** One step of a core, its effects not executed. */
function step(s: Setup, id: string, input: ReplicaInput): ReplicaEffect[] {
  return [...s.c.server(id).core!.step(s.c.now, input)]
}

function requests(
  s: Setup,
  firstRequestId: number,
  count: number,
  clerkId = s.clerk.clerkId,
  connection = 1,
): ReplicaInput {
  const ops = packed(Array.from({ length: count }, () => addOp(7)))
  return {
    kind: 'client',
    connection,
    message: { kind: 'requests', clerkId, firstRequestId, firstIncomplete: 1, count, ops },
  }
}

const applied = (s: Setup, id: string): number => s.c.server(id).machine.applied
const kinds = (effects: readonly ReplicaEffect[]): string[] =>
  effects.map((e) => (e.kind === 'send' || e.kind === 'reply' ? `${e.kind} ${e.message.kind}` : e.kind))

describe('primary', () => {
  it('batch_leavesForDiskAndBackups_beforeItIsApplied', () => {
    const s = startCluster()
    const { core } = s.c.server('a')
    const before = applied(s, 'a')
    expect(kinds(step(s, 'a', requests(s, 1, 3)))).toEqual([])
    expect(kinds(step(s, 'a', { kind: 'flush' }))).toEqual(['write', 'send append', 'send append'])
    expect(core!.wantsApply).toBe(true)
    expect(applied(s, 'a')).toBe(before)
    expect(step(s, 'a', { kind: 'apply' })).toEqual([])
    expect(applied(s, 'a')).toBe(before + 3)
    expect(core!.wantsApply).toBe(false)
  })

  it('read_seesWhatIsDue_andWaitsForItsCommit', () => {
    const s = startCluster()
    step(s, 'a', requests(s, 1, 3))
    const read = { kind: 'reads', firstReadId: 1, minEpoch: 0, minIndex: 0, stale: false, count: 1 } as const
    const effects = step(s, 'a', { kind: 'client', connection: 1, message: { ...read, ops: packed([readOp(7)]) } })
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(3)
    expect(kinds(effects)).toEqual([])
  })

  it('nextFrameOfTheSameClerk_isJudgedByWhatIsDue', () => {
    const s = startCluster()
    step(s, 'a', requests(s, 1, 3))
    const next = s.c.view('a').nextIndex
    // 2 and 3 are known, 4 is new.
    expect(kinds(step(s, 'a', requests(s, 2, 3)))).toEqual([])
    expect(s.c.view('a').nextIndex).toBe(next + 1)
    step(s, 'a', { kind: 'apply' })
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(4)
  })

  it('frameOfAnotherClerk_leavesWhatIsDue', () => {
    const s = startCluster()
    s.c.client('a', 2, { kind: 'register', nonce: new Uint8Array(16).fill(9) })
    s.c.run(50)
    const other = s.c.view('a').nextIndex - 1
    const before = applied(s, 'a')
    step(s, 'a', requests(s, 1, 3))
    step(s, 'a', requests(s, 1, 1, other))
    expect(applied(s, 'a')).toBe(before)
    step(s, 'a', { kind: 'apply' })
    expect(applied(s, 'a')).toBe(before + 4)
  })

  it('unknownClerk_isToldBehindAllThatIsDue', () => {
    const s = startCluster()
    const before = applied(s, 'a')
    step(s, 'a', requests(s, 1, 3))
    step(s, 'a', requests(s, 1, 1, 999_999))
    expect(applied(s, 'a')).toBe(before + 3)
  })

  it('commitBeforeApply_letsTheRightReplyLeave', () => {
    const s = startCluster({ members: ['a'] })
    step(s, 'a', requests(s, 1, 2))
    const write = step(s, 'a', { kind: 'flush' }).find((e) => e.kind === 'write')!
    const effects = step(s, 'a', { kind: 'written', token: write.token })
    expect(kinds(effects)).toEqual(['reply replies'])
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(2)
  })

  it('sameRunOnAnotherConnection_isExecutedOnce_andAnsweredOnBoth_whenCommitted', () => {
    const s = startCluster({ members: ['a'] })
    step(s, 'a', requests(s, 1, 2))
    expect(step(s, 'a', requests(s, 1, 2, s.clerk.clerkId, 2))).toEqual([])
    const write = step(s, 'a', { kind: 'flush' }).find((e) => e.kind === 'write')!
    const effects = step(s, 'a', { kind: 'written', token: write.token })
    expect(effects.map((e) => (e.kind === 'reply' ? [e.connection, e.message.kind] : e.kind))).toEqual([
      [1, 'replies'],
      [2, 'replies'],
    ])
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(2)
  })

  it('repliesAcrossRegisterSkipAndRuns_leaveInTheOrderOfTheLog', () => {
    const s = startCluster({ members: ['a'] })
    const { clerkId } = s.clerk
    const first = s.c.view('a').nextIndex
    step(s, 'a', requests(s, 1, 2))
    const nonce = new Uint8Array(16).fill(9)
    step(s, 'a', { kind: 'client', connection: 2, message: { kind: 'register', nonce } })
    step(s, 'a', requests(s, 3, 1))
    const skip = { kind: 'skip', clerkId, from: 4, to: 5, firstIncomplete: 1 } as const
    step(s, 'a', { kind: 'client', connection: 1, message: skip })
    step(s, 'a', requests(s, 1, 1, first + 2, 2))
    step(s, 'a', requests(s, 6, 1))
    const write = step(s, 'a', { kind: 'flush' }).find((e) => e.kind === 'write')!
    const effects = step(s, 'a', { kind: 'written', token: write.token })
    const told = effects.map((e) => {
      if (e.kind !== 'reply') return e.kind
      const m = e.message
      return m.kind === 'replies' ? `${e.connection}: ${m.clerkId - first} ${m.firstRequestId}` : m.kind
    })
    const own = clerkId - first
    expect(told).toEqual([`1: ${own} 1`, 'registered', `1: ${own} 3`, `1: ${own} 4`, '2: 2 1', `1: ${own} 6`])
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(5)
  })

  it('clientGone_beforeItsRunIsApplied_getsNoReply', () => {
    const s = startCluster({ members: ['a'] })
    step(s, 'a', requests(s, 1, 2))
    step(s, 'a', { kind: 'clientGone', connection: 1 })
    const write = step(s, 'a', { kind: 'flush' }).find((e) => e.kind === 'write')!
    expect(step(s, 'a', { kind: 'written', token: write.token })).toEqual([])
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(2)
  })

  it('sealed_beforeItIsApplied_keepsItInLogAndState', () => {
    const s = startCluster()
    const next = s.c.view('a').nextIndex
    step(s, 'a', requests(s, 1, 2))
    const sender = { id: 'c1', storeId: 'store-c1' }
    step(s, 'a', { kind: 'message', from: sender, message: { kind: 'seal', group: 'main', epoch: 9, prev: 1 } })
    expect(s.c.view('a').nextIndex).toBe(next + 2)
    s.c.view('a').stateHash()
    expect(s.c.server('a').machine.counters.get(7)?.value).toBe(2)
  })
})

describe('backup', () => {
  it('record_isAcknowledged_beforeItIsApplied', () => {
    const s = startCluster()
    addAll(s, [7])
    const before = applied(s, 'b')
    step(s, 'a', requests(s, 2, 3))
    const append = step(s, 'a', { kind: 'flush' }).find((e) => e.kind === 'send' && e.to === 'b')
    if (append?.kind !== 'send') throw new Error('no append was sent')
    const from = { id: 'a', storeId: 'store-a' }
    const [write] = step(s, 'b', { kind: 'message', from, message: append.message as never })
    if (write?.kind !== 'write') throw new Error('nothing was written')
    step(s, 'b', { kind: 'written', token: write.token })
    expect(kinds(step(s, 'b', { kind: 'flush' }))).toEqual(['send appendAck'])
    expect(applied(s, 'b')).toBe(before)
    step(s, 'b', { kind: 'apply' })
    expect(applied(s, 'b')).toBe(before + 3)
    expect(s.c.server('b').machine.counters.get(7)?.value).toBe(4)
  })
})
