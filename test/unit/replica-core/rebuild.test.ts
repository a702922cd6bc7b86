// A learner's state is rebuilt from a snapshot while it comes; what it had before is given up, and comes back from the disk when the snapshot
// does not.
import { DecodeError, type RefusedMessage } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { ClerkTable } from '../../../packages/replica/src/core/exactly-once.js'
import { Rebuild } from '../../../packages/replica/src/core/rebuild.js'
import { testBytes } from './harness/bytes.js'
import { packed } from './harness/clerk.js'
import { CounterMachine, readOp } from './harness/counter-machine.js'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const HEADER = { snapshotId: 's', index: 9, lineage: [], chunks: 3, totalBytes: 0, digest: '' }
const PRELUDE = Uint8Array.of(0, 5, 0, 0, 0, 0, 0, 0, 0)

function piecesOf(machine: CounterMachine): Uint8Array[] {
  const capture = machine.getState()
  const pieces: Uint8Array[] = []
  for (let piece = capture.next(1); piece !== undefined; piece = capture.next(1))
    pieces.push(Uint8Array.of(2, ...piece))
  return pieces
}

function machineOf(...entries: [key: number, value: number][]): CounterMachine {
  const machine = new CounterMachine()
  for (const [key, value] of entries) machine.counters.set(key, { value, version: 1 })
  return machine
}

describe('Rebuild', () => {
  it('add_inAnyOrder_isTheSameState', () => {
    const [first, second] = piecesOf(machineOf([1, 10], [2, 20], [3, 30], [4, 40]))
    const machine = machineOf([9, 90])
    const rebuild = new Rebuild(machine, testBytes, undefined)
    // The old state is gone at once, before anything of the new one is here.
    expect(machine.counters.size).toBe(0)
    rebuild.add(2, second!)
    expect(machine.counters.size).toBe(0)
    rebuild.add(0, PRELUDE)
    rebuild.add(1, first!)
    const rebuilt = rebuild.finish(HEADER)
    expect([...machine.counters.keys()]).toEqual([1, 2, 3, 4])
    expect(rebuilt.machine).toBe(machine)
    expect(rebuilt.elapsedMs).toBe(5)
    expect(rebuilt.table.hash()).toBe(new ClerkTable(testBytes).hash())
  })

  it('finish_aChunkIsMissing_throws', () => {
    const rebuild = new Rebuild(machineOf(), testBytes, undefined)
    rebuild.add(0, PRELUDE)
    rebuild.add(2, piecesOf(machineOf([1, 1]))[0]!)
    expect(() => rebuild.finish(HEADER)).toThrow(/1 of 3 chunks/)
  })

  it('add_whatNoCaptureWrote_throws', () => {
    expect(() => new Rebuild(machineOf(), testBytes, undefined).add(0, Uint8Array.of(77))).toThrow(DecodeError)
  })
})

/** `d` was a member and is none; since then `b` has cut its log, and the others have not. */
function startWithALeftMember(): Setup {
  const ids = ['a', 'b', 'c', 'd']
  // With this seed the source of the last story is one that `d` can hear.
  const s = startCluster({ ids, members: ids, seed: 3 })
  for (let i = 0; i < 20; i++) addAll(s, [i % 7])
  s.c.snapshotEveryBytes = 500
  s.c.crash('b')
  s.c.start('b')
  s.c.snapshotEveryBytes = 1e9
  change(s, ['a', 'b', 'c'])
  for (let i = 0; i < 60; i++) addAll(s, [i % 9])
  s.c.run(500)
  return s
}

/** Chunks of a snapshot on its way that `d` has on its disk. */
function have(s: Setup): number {
  const { copy, staged } = s.c.server('d').disk
  return copy === undefined ? 0 : Object.keys(staged.get(copy.snapshotId) ?? []).length
}

function learn(s: Setup, source: string): void {
  s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 2, source: s.config.entry(source) })
}

function learnAll(s: Setup, source: string): void {
  const ready = (): boolean => s.c.view('d').nextIndex === s.c.view('a').nextIndex
  for (let i = 0; i < 20 && !ready(); i++) {
    learn(s, source)
    s.c.run(500)
  }
  expect(ready()).toBe(true)
}

describe('a learner', () => {
  it('rebuilds_its_state_as_the_snapshot_comes_and_reads_nothing_again', () => {
    const s = startWithALeftMember()
    const { machine } = s.c.server('d')
    learnAll(s, 'b')
    // The machine that lost its old state is the one that runs on.
    expect(s.c.server('d').machine).toBe(machine)
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
    s.c.crash('d')
    s.c.start('d')
    expect(s.c.server('d').machine).not.toBe(machine)
    learnAll(s, 'b')
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
  })

  it('has_its_state_back_when_the_snapshot_does_not_come', () => {
    const s = startWithALeftMember()
    learn(s, 'b')
    expect(s.c.run(1_000, () => s.c.view('d').stateless)).toBe(true)
    s.c.cut.add('b>d')
    s.c.run(1_000)
    expect(s.c.view('d').stateless).toBe(true)
    const hadNext = s.c.view('d').nextIndex
    learnAll(s, 'a')
    expect(s.c.view('d').stateless).toBe(false)
    expect(s.c.view('d').nextIndex).toBeGreaterThan(hadNext)
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
    expect(s.config.how.get('d')).not.toBe('full')
  })

  it('without_a_state_answers_no_read_and_has_no_hash', () => {
    const s = startWithALeftMember()
    learn(s, 'b')
    s.c.run(1_000, () => s.c.view('d').stateless)
    s.c.cut.add('b>d')
    expect(s.c.view('d').stateHash()).toBe('rebuilding')
    const refusals: string[] = []
    s.c.onClient = (server, _connection, message) => {
      if (server === 'd') refusals.push(`${message.kind} ${(message as RefusedMessage).reason}`)
    }
    const ops = packed([readOp(1)])
    s.c.client('d', 7, { kind: 'reads', firstReadId: 1, count: 1, minEpoch: 0, minIndex: 0, stale: true, ops })
    s.c.run(100)
    expect(refusals).toEqual(['refused moved'])
  })

  it('that_was_killed_goes_on_with_the_chunks_it_has', () => {
    const s = startWithALeftMember()
    // Two counters a chunk: several windows of chunks.
    for (let key = 0; key < 240; key++) addAll(s, [key])
    s.c.run(500)
    learn(s, 'b')
    const arrived = (): number => s.c.server('d').writing.length + have(s)
    expect(s.c.run(2_000, () => have(s) > 40)).toBe(true)
    expect(arrived()).toBeLessThan(100)
    s.c.crash('d')
    const kept = have(s)
    expect(kept).toBeGreaterThan(40)
    const before = s.c.sent.length
    s.c.start('d')
    s.c.run(50)
    learnAll(s, 'b')
    const asked = s.c.sent.slice(before).filter(({ from, message }) => from === 'd' && message.kind === 'fetchSnapshot')
    const { chunks } = s.c.server('b').disk.snapshot!.header
    // The first question is which snapshot there is.
    expect(asked.length).toBeLessThanOrEqual(chunks - kept + 1)
    expect(s.c.events.filter(({ name, id }) => name === 'transferResumed' && id === 'd')).toHaveLength(1)
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
  })

  it('that_was_killed_begins_anew_when_its_source_has_another_snapshot', () => {
    const s = startWithALeftMember()
    learn(s, 'b')
    expect(s.c.run(1_000, () => have(s) > 0)).toBe(true)
    s.c.crash('d')
    s.c.run(60_000)
    for (let i = 0; i < 60; i++) addAll(s, [i % 9])
    s.c.run(500)
    s.c.start('d')
    s.c.run(50)
    learnAll(s, 'b')
    expect(s.c.events.some(({ name }) => name === 'transferResumed')).toBe(false)
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
  })

  it('sealed_while_it_has_no_state_answers_once_it_has_one', () => {
    const s = startWithALeftMember()
    learn(s, 'b')
    s.c.run(1_000, () => s.c.view('d').stateless)
    s.c.cut.add('b>d')
    change(s, ['a', 'c', 'd'])
    expect(s.c.view('d').activated).toBe(true)
    addAll(s, [1, 2, 3])
    s.c.run(500)
    expect(s.c.view('d').stateHash()).toBe(s.c.view('a').stateHash())
  })
})
