// Draining for a planned change, as replicas see it (PROTOCOL 2, planned changes): what a drained primary says and does, what the next one
// holds, and how a drain ends that nobody carries on.
import { expect, it } from 'vitest'
import type { ConfigToReplica } from '@coppice/protocol'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const NEXT = ['b', 'a', 'c']

function drainMessage(s: Setup, members: readonly string[]): ConfigToReplica {
  const { epoch: prev } = s.config.configuration
  const epoch = s.config.reserved + 1
  return { kind: 'drain', group: 'main', epoch, prev, members: members.map((id) => s.config.entry(id)) }
}

function drain(s: Setup, to: readonly string[], members: readonly string[] = NEXT): void {
  for (const id of to) s.config.send(id, drainMessage(s, members))
}

const drained = (s: Setup): readonly { from: string }[] => s.c.sent.filter(({ message }) => message.kind === 'drained')
const refusals = (s: Setup): unknown[] => s.clerk.replies.filter((r) => r.kind === 'refused')
const lastOf = (s: Setup): { kind: string } | undefined => s.clerk.replies.at(-1)

it('drain_waitsForWhatIsInFlight_thenSaysSo', () => {
  const s = startCluster()
  addAll(s, [1])
  s.c.cut.add('c>a')
  s.clerk.add([1, 2])
  s.c.run(5)
  drain(s, ['a'])
  s.c.run(60)
  expect(drained(s)).toEqual([])
  s.c.cut.clear()
  s.c.run(400, () => drained(s).length > 0)
  const { nextIndex, commitIndex } = s.c.view('a')
  expect(drained(s)).toMatchObject([{ from: 'a', message: { epoch: 2, nextIndex } }])
  expect(commitIndex).toBe(nextIndex)
  s.c.run(20)
  expect(s.clerk.open).toBe(0)
})

it('drainedPrimary_admitsNothing_andNamesTheNext', () => {
  const s = startCluster()
  addAll(s, [1])
  drain(s, ['a'])
  s.c.run(20)
  const { nextIndex } = s.c.view('a')
  s.clerk.add([1])
  s.c.run(20)
  expect(refusals(s)).toMatchObject([{ reason: 'moved', primary: 'b', epoch: 1 }])
  expect(s.c.view('a').nextIndex).toBe(nextIndex)
})

it('drainedPrimary_registersAndSkipsNothing', () => {
  const s = startCluster()
  drain(s, ['a'])
  s.c.run(20)
  const { nextIndex } = s.c.view('a')
  const { clerkId } = s.clerk
  s.c.client('a', 1, { kind: 'skip', clerkId, from: 1, to: 1, firstIncomplete: 1 })
  s.c.run(20)
  s.c.client('a', 1, { kind: 'register', nonce: new Uint8Array(16).fill(9) })
  s.c.run(20)
  expect(refusals(s)).toMatchObject([
    { of: 'skip', reason: 'moved', primary: 'b' },
    { of: 'register', reason: 'moved', primary: 'b' },
  ])
  expect(s.c.view('a').nextIndex).toBe(nextIndex)
})

it('target_holdsWhatComes_andAdmitsItInItsOrder_whenItLeads', () => {
  const s = startCluster()
  addAll(s, [1])
  drain(s, ['b'])
  drain(s, ['a'])
  s.c.run(20)
  s.clerk.primary = 'b'
  for (let i = 0; i < 5; i++) {
    s.clerk.add([2])
    s.c.run(2)
  }
  expect(s.clerk.open).toBe(5)
  expect(refusals(s)).toEqual([])
  change(s, NEXT)
  expect(s.c.run(200, () => s.clerk.open === 0)).toBe(true)
  expect(refusals(s)).toEqual([])
  expect(s.c.server('b').machine.counters.get(2)?.value).toBe(5)
  expect(s.clerk.problems).toEqual([])
  // All sealed at the same place: nothing was shipped.
  expect([...s.config.how.values()]).toEqual(['none', 'none', 'none'])
})

it('primaryThatStays_holdsWhatComes', () => {
  const s = startCluster()
  addAll(s, [1])
  drain(s, ['a'], ['a', 'c', 'b'])
  s.c.run(20)
  const { nextIndex } = s.c.view('a')
  s.clerk.add([1, 1])
  s.c.run(20)
  expect(refusals(s)).toEqual([])
  expect(s.c.view('a').nextIndex).toBe(nextIndex)
  change(s, ['a', 'c', 'b'])
  expect(s.c.run(200, () => s.clerk.open === 0)).toBe(true)
  expect(refusals(s)).toEqual([])
})

it('drain_thatNobodyKeepsUp_endsByItself', () => {
  const s = startCluster()
  drain(s, ['b', 'a'])
  s.c.run(20)
  expect(s.c.view('a').draining).toBe(true)
  // Kept up while it is said again.
  for (let i = 0; i < 10; i++) {
    s.c.run(50)
    drain(s, ['a'])
  }
  expect(s.c.view('a').draining).toBe(true)
  s.c.run(260)
  expect(s.c.view('a').draining).toBe(false)
  addAll(s, [1])
  expect(s.clerk.problems).toEqual([])
})

it('targetOfAnAttemptThatEnded_tellsItsClerksToGoBack', () => {
  const s = startCluster()
  drain(s, ['b', 'a'])
  s.c.run(20)
  s.clerk.primary = 'b'
  s.clerk.add([1])
  s.c.run(20)
  expect(refusals(s)).toEqual([])
  for (const id of ['a', 'b']) s.config.send(id, { kind: 'resume', group: 'main', epoch: s.config.reserved + 1 })
  s.c.run(20)
  expect(lastOf(s)).toMatchObject({ kind: 'refused', reason: 'moved', primary: 'a' })
  s.clerk.resend()
  expect(s.c.run(200, () => s.clerk.open === 0)).toBe(true)
})

it('sealedPrimary_neverAdmitsAgain_howeverTheDrainEnds', () => {
  const s = startCluster()
  addAll(s, [1])
  drain(s, ['a'])
  s.c.run(20)
  const { nextIndex } = s.c.view('a')
  s.config.send('a', { kind: 'seal', group: 'main', epoch: s.config.reserved + 1, prev: 1 })
  s.c.run(1_500)
  s.clerk.add([1])
  s.c.run(50)
  expect(refusals(s)).toMatchObject([{ reason: 'moved', primary: 'b' }])
  s.config.send('a', { kind: 'resume', group: 'main', epoch: s.config.reserved + 1 })
  s.c.run(50)
  s.clerk.primary = 'a'
  s.clerk.resend()
  s.c.run(50)
  expect(s.c.view('a').nextIndex).toBe(nextIndex)
  expect(s.clerk.open).toBe(1)
})

it('drain_ofAnEpochThatIsOver_changesNothing', () => {
  const s = startCluster()
  const late = drainMessage(s, NEXT)
  change(s, ['a', 'b', 'c'])
  s.config.send('a', late)
  s.c.run(20)
  expect(s.c.view('a').draining).toBe(false)
  addAll(s, [1])
})

it('announcement_isToldToClerks_once', () => {
  const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
  addAll(s, [1])
  const members = ['d', 'b', 'c'].map((id) => s.config.entry(id))
  for (let i = 0; i < 3; i++) s.config.send('a', { kind: 'announce', group: 'main', epoch: 2, prev: 1, members })
  s.c.run(20)
  const told = s.clerk.replies.filter((r) => r.kind === 'announced')
  expect(told).toMatchObject([{ epoch: 2, members: [{ id: 'd' }, { id: 'b' }, { id: 'c' }] }])
  expect(s.c.view('a').draining).toBe(false)
})
