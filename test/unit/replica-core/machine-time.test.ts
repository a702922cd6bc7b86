// The log's time as machines see it: what depends on it is stamped no earlier than it arrived, and ticks come when they are due.
import type { RequestsMessage } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { packed, TestClerk } from './harness/clerk.js'
import { addOp, TIMED_KEY } from './harness/counter-machine.js'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

function message(s: Setup, firstRequestId: number, ...keys: number[]): RequestsMessage {
  const ops = packed(keys.map((key) => addOp(key)))
  return { kind: 'requests', clerkId: s.clerk.clerkId, firstRequestId, firstIncomplete: 1, count: keys.length, ops }
}

/** One step of the primary, whose effects are not executed. */
function admit(s: Setup, firstRequestId: number, ...keys: number[]): void {
  const input = { kind: 'client', connection: 1, message: message(s, firstRequestId, ...keys) } as const
  s.c.server('a').core!.step(s.c.now, input)
}

/** The log's times of the operations applied since, counted from the first one's. */
function times(s: Setup, from: number): number[] {
  s.c.view('a').stateHash()
  const all = s.c.server('a').machine.times.slice(from)
  return all.map((at) => at - all[0]!)
}

describe('operations that depend on the time', () => {
  it('recordIsOlder_operationGetsOneOfItsOwn', () => {
    const s = startCluster()
    admit(s, 1, 7)
    s.c.now += 5
    admit(s, 2, 8, TIMED_KEY, TIMED_KEY, 9)
    expect(times(s, 0)).toEqual([0, 0, 5, 5, 5])
  })

  it('recordIsAsNew_operationJoinsIt', () => {
    const s = startCluster()
    const before = s.c.view('a').nextIndex
    admit(s, 1, 7)
    admit(s, 2, TIMED_KEY)
    s.c.now += 5
    admit(s, 3, 7)
    expect(times(s, 0)).toEqual([0, 0, 0])
    expect(s.c.view('a').nextIndex).toBe(before + 3)
  })

  it('recordsOfBothTimes_areTheSameEverywhere', () => {
    const s = startCluster()
    s.c.faults.diskMs = 40
    // The first record is under way, the second one waits for it and grows.
    for (const [i, key] of [7, 8].entries()) {
      s.c.input('a', { kind: 'client', connection: 1, message: message(s, i + 1, key) })
      s.c.run(0)
    }
    s.c.run(5)
    s.c.client('a', 1, message(s, 3, 9, TIMED_KEY, 9))
    s.c.run(500)
    for (const id of ['a', 'b', 'c']) s.c.view(id).stateHash()
    const [first, ...rest] = s.c.server('a').machine.times
    const later = rest[3]! - first!
    expect(later).toBeGreaterThanOrEqual(5)
    expect(rest.map((at) => at - first!)).toEqual([0, 0, later, later])
    for (const id of ['b', 'c']) expect(s.c.server(id).machine.times).toEqual([first, ...rest])
  })
})

describe('ticks', () => {
  it('machineIsDue_oneTickEverywhere_notBeforeItsTime', () => {
    const s = startCluster()
    addAll(s, [7])
    const { times } = s.c.server('a').machine
    const at = times[0]! + 100
    for (const id of ['a', 'b', 'c']) s.c.server(id).machine.dueAt = at
    s.c.run(90)
    expect(s.c.server('a').machine.ticks).toEqual([])
    s.c.run(60)
    const { ticks } = s.c.server('a').machine
    expect(ticks.length).toBe(1)
    expect(ticks[0]!.elapsedMs - at).toBeGreaterThanOrEqual(0)
    expect(ticks[0]!.elapsedMs - at).toBeLessThanOrEqual(10)
    for (const id of ['b', 'c']) expect(s.c.server(id).machine.ticks).toEqual(ticks)
  })

  it('machineStaysDue_ticksKeepTheirDistance', () => {
    const s = startCluster()
    const { machine } = s.c.server('a')
    const from = s.c.now
    const tick = machine.tick.bind(machine)
    machine.tick = (index, elapsedMs) => {
      tick(index, elapsedMs)
      machine.dueAt = 0
    }
    machine.dueAt = 0
    addAll(s, [7])
    s.c.run(200)
    expect(machine.ticks.length).toBeGreaterThan(5)
    expect(machine.ticks.length).toBeLessThanOrEqual((s.c.now - from) / 10 + 1)
  })

  it('stallPastItsTime_tickComesBeforeTheOperationThatWaited', () => {
    const s = startCluster()
    admit(s, 1, 7)
    const { machine } = s.c.server('a')
    const from = s.c.view('a').nextIndex
    s.c.view('a').stateHash()
    machine.dueAt = machine.times[0]! + 5
    s.c.now += 50
    admit(s, 2, 7)
    expect(times(s, 0)).toEqual([0, 50])
    expect(machine.ticks).toEqual([{ index: from, elapsedMs: machine.times[0]! + 50 }])
  })

  it('stallBeforeItWasApplied_tickComesBeforeTheNextOperation', () => {
    const s = startCluster()
    const { machine } = s.c.server('a')
    const apply = machine.apply.bind(machine)
    machine.apply = (...args) => {
      apply(...args)
      if (machine.times.length === 1) machine.dueAt = args[1] + 5
    }
    // Of another clerk: nothing else would look at the state.
    const other = new TestClerk(s.c, 2, 'a')
    const others = s.c.onClient
    s.c.onClient = (server, connection, m) =>
      connection === other.connection ? other.on(server, m) : others(server, connection, m)
    other.register()
    expect(s.c.run(500, () => other.clerkId > 0)).toBe(true)
    admit(s, 1, TIMED_KEY)
    s.c.now += 50
    const frame = { ...message(s, 1, 7), clerkId: other.clerkId }
    s.c.server('a').core!.step(s.c.now, { kind: 'client', connection: other.connection, message: frame })
    s.c.view('a').stateHash()
    expect(machine.times.length).toBe(2)
    expect(machine.ticks.map(({ elapsedMs }) => elapsedMs - machine.times[0]!)).toEqual([50])
  })

  it('primaryIsReplaced_theNextOneTicks_andTimeDoesNotGoBack', () => {
    const s = startCluster()
    addAll(s, [7])
    const at = s.c.server('a').machine.times[0]! + 1_000
    for (const id of ['b', 'c']) s.c.server(id).machine.dueAt = at
    s.c.cut.add('a>b')
    change(s, ['b', 'c'])
    s.c.run(2_000)
    const { ticks } = s.c.server('b').machine
    expect(ticks.length).toBe(1)
    expect(ticks[0]!.elapsedMs).toBeGreaterThanOrEqual(at)
    expect(s.c.server('c').machine.ticks).toEqual(ticks)
  })
})
