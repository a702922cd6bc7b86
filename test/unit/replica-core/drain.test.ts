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

const answersTo = (s: Setup, ...kinds: string[]): readonly { from: string; message: { kind: string } }[] =>
  s.c.sent.filter(({ to, message }) => to === 'c1' && kinds.includes(message.kind))
const seals = (s: Setup): readonly { from: string }[] => answersTo(s, 'sealReply')
const writesUnderWay = (s: Setup, id: string): number => s.c.server(id).writing.length
const refusals = (s: Setup): unknown[] => s.clerk.replies.filter((r) => r.kind === 'refused')
const lastOf = (s: Setup): { kind: string } | undefined => s.clerk.replies.at(-1)

it('drain_waitsForWhatIsInFlight_thenThePrimaryIsSealed_andSaysSo', () => {
  const s = startCluster()
  addAll(s, [1])
  s.c.cut.add('c>a')
  s.clerk.add([1, 2])
  s.c.run(5)
  drain(s, ['a'])
  s.c.run(60)
  expect(seals(s)).toEqual([])
  expect(s.c.view('a').sealed).toBe(false)
  s.c.cut.clear()
  s.c.run(400, () => seals(s).length > 0)
  const { nextIndex, commitIndex, meta } = s.c.view('a')
  expect(seals(s)).toMatchObject([{ from: 'a', message: { epoch: 2, ok: true, nextIndex, commitIndex: nextIndex } }])
  expect(commitIndex).toBe(nextIndex)
  expect(meta.sealedFor).toBe(2)
  s.c.run(20)
  expect(s.clerk.open).toBe(0)
})

it('drainedPrimary_answersBeforeItsSealIsDurable_whichFollows', () => {
  const s = startCluster()
  addAll(s, [1])
  s.c.run(20)
  s.c.faults.diskMs = 50
  drain(s, ['a'])
  s.c.run(20, () => seals(s).length > 0)
  expect(seals(s)).toHaveLength(1)
  expect(s.c.server('a').disk.meta.sealedFor).toBe(1)
  s.c.run(60)
  expect(s.c.server('a').disk.meta.sealedFor).toBe(2)
})

it('drainedPrimary_whoseSealIsLost_neverLeadsItsEpochAgain', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const s = startCluster({ seed })
    addAll(s, [1])
    s.c.run(20)
    s.c.faults.diskMs = 1_000
    drain(s, ['a'])
    s.c.run(20, () => seals(s).length > 0)
    s.c.crash('a')
    s.c.faults.diskMs = 0.2
    s.c.start('a')
    s.c.run(300)
    expect(s.c.view('a').isPrimary).toBe(false)
    const { nextIndex } = s.c.view('a')
    s.clerk.resend()
    s.clerk.add([1])
    s.c.run(50)
    expect(s.c.view('a').nextIndex).toBe(nextIndex)
    // Sealed, or unable to lead: either begins a new epoch.
    const reports = answersTo(s, 'report').filter(({ from }) => from === 'a')
    expect(reports.at(-1)).toMatchObject({ message: { cannotLead: true } })
  }
})

it('drainAskedAgain_isAnsweredAgain_onceTheSealIsDurable', () => {
  const s = startCluster()
  addAll(s, [1])
  s.c.cut.add('a>c1')
  drain(s, ['a'])
  s.c.run(20)
  const { length } = seals(s)
  expect(length).toBe(1)
  s.c.cut.clear()
  drain(s, ['a'])
  s.c.run(20)
  expect(seals(s)).toHaveLength(2)
  expect(seals(s)[1]).toMatchObject({ from: 'a', message: { epoch: 2, ok: true } })
})

it('enterWithoutSeal_isOneWrite_thePromiseWithIt', () => {
  const s = startCluster()
  addAll(s, [1])
  drain(s, ['b', 'a'])
  s.c.run(20, () => seals(s).length > 0)
  s.c.run(20)
  s.c.faults.diskMs = 20
  const { nextIndex, meta } = s.c.view('a')
  const entry = (id: string): ReturnType<Setup['config']['entry']> => s.config.entry(id)
  s.config.send('c', {
    kind: 'enter',
    group: 'main',
    epoch: 2,
    prev: 1,
    checkpointId: 'k2',
    start: nextIndex,
    lineage: meta.lineage.map(([epoch, at]) => [epoch, at]),
    digest: 'counter-1',
    sources: [{ server: entry('a'), base: 1 }],
    members: NEXT.map(entry),
    params: s.config.configuration.params,
  })
  s.c.run(5, () => writesUnderWay(s, 'c') > 0)
  expect(writesUnderWay(s, 'c')).toBe(1)
  expect(s.c.server('c').disk.meta).toMatchObject({ epoch: 1, sealedFor: 1 })
  s.c.run(100, () => writesUnderWay(s, 'c') === 0)
  expect(s.c.server('c').disk.meta).toMatchObject({ epoch: 2, sealedFor: 2, checkpointId: 'k2' })
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
  // Something is in flight that does not end.
  s.c.cut.add('c>a')
  s.clerk.add([1])
  s.c.run(5)
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
  s.c.cut.clear()
  addAll(s, [1])
  expect(s.clerk.problems).toEqual([])
})

it('targetOfAnAttemptThatEnded_tellsItsClerksToGoBack', () => {
  const s = startCluster()
  s.c.cut.add('c>a')
  s.clerk.add([1])
  s.c.run(5)
  drain(s, ['b', 'a'])
  s.c.run(20)
  s.clerk.primary = 'b'
  s.clerk.add([1])
  s.c.run(20)
  expect(refusals(s)).toEqual([])
  s.c.cut.clear()
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
