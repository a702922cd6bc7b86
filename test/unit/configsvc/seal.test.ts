// SEAL's choice of a source (PROTOCOL 2.3), and the acceptor's order between disk and answer, without a network.
import { ConfigNode } from '@coppice/configsvc'
import { DEFAULT_ELECTION, DEFAULT_PARAMS } from '@coppice/protocol'
import type { ConfigState, Lineage, NodeId, Report } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import type { AttemptEnv, AttemptInput } from '../../../packages/configsvc/src/core/attempt/attempt.js'
import { seal, type SealReply } from '../../../packages/configsvc/src/core/attempt/seal.js'
import { Detector } from '../../../packages/configsvc/src/core/detector.js'
import { genesisState } from '../../../packages/configsvc/src/core/formation.js'
import { Leases } from '../../../packages/configsvc/src/core/leases.js'
import { Pauses } from '../../../packages/configsvc/src/core/pauses.js'
import { Network } from './network.js'

const prev: ConfigState = {
  ...genesisState('main', 'cluster', [], 3, DEFAULT_PARAMS),
  epoch: 4,
  members: ['r1', 'r2', 'r3'],
}

function answer(nextIndex: number, more: Partial<SealReply> = {}): SealReply {
  const lineage = (more.lineage ?? [
    [0, 0],
    [4, 1],
  ]) as [number, number][]
  return {
    kind: 'sealReply',
    group: 'main',
    epoch: 5,
    ok: true,
    reason: '',
    ownEpoch: 4,
    sealedFor: 5,
    nextIndex,
    base: 1,
    commitIndex: 1,
    digest: 'd',
    ...more,
    lineage,
  }
}

/** Runs SEAL over the answers, all at once; then time passes until it ends. */
function run(
  answers: Record<NodeId, SealReply>,
  reports: readonly Partial<Report>[] = [],
  next: readonly NodeId[] = prev.members,
  prepareDetector: (detector: Detector) => void = () => undefined,
): { result: unknown; lost: NodeId[]; tookMs: number } {
  const detector = new Detector(0, DEFAULT_PARAMS.failMs)
  for (const r of reports) {
    const server = { id: 'r1', storeId: 's', address: 'a:1', ...r.server }
    detector.onReport(0, { epoch: 4, durableIndex: 0, commitIndex: 0, ...r, server } as Report, prev)
  }
  prepareDetector(detector)
  let now = 0
  const lost: NodeId[] = []
  const env: AttemptEnv = {
    get now() {
      return now
    },
    ballot: { round: 1, node: 'c1' },
    detector,
    leases: new Leases(0),
    pauses: new Pauses(),
    send: () => undefined,
    stage: () => undefined,
    interrupted: () => undefined,
    lostData: (id) => lost.push(id),
  }
  const steps = seal(env, prev, 5, next)
  let state = steps.next()
  const give = (input: AttemptInput): void => {
    if (state.done !== true) state = steps.next(input)
  }
  for (const [from, message] of Object.entries(answers)) give({ kind: 'message', from, message })
  while (state.done !== true) {
    now += 10
    give({ kind: 'time' })
  }
  return { result: state.value, lost, tookMs: now }
}

describe('seal', () => {
  it('memberThatWasToldToCutItsLog_isNotAccusedOfIt', () => {
    const reported = [{ server: { id: 'r2', storeId: 's', address: 'a:1' }, durableIndex: 9 }]
    const answers = { r1: answer(7), r2: answer(7), r3: answer(7) }
    expect(run(answers, reported).lost).toEqual(['r2'])
    const told = run(answers, reported, prev.members, (detector) => detector.mayCut(4, 'r2', 7))
    expect(told.lost).toEqual([])
    expect(told.result).toMatchObject({ kind: 'sealed', fit: ['r1', 'r2', 'r3'] })
    // Below where it was told to cut, what it reported still counts, and so does what it was told of another epoch.
    expect(run({ ...answers, r2: answer(6) }, reported, prev.members, (d) => d.mayCut(4, 'r2', 7)).lost).toEqual(['r2'])
    expect(run(answers, reported, prev.members, (d) => d.mayCut(3, 'r2', 7)).lost).toEqual(['r2'])
  })

  it('source_hasTheGreatestNext_othersThatEndThereShipToo', () => {
    const { result } = run({ r1: answer(7), r2: answer(9, { base: 3 }), r3: answer(9) })
    expect(result).toMatchObject({
      kind: 'sealed',
      source: 'r2',
      shippers: [
        { id: 'r2', base: 3 },
        { id: 'r3', base: 1 },
      ],
      fit: ['r2', 'r3', 'r1'],
      unfit: [],
    })
  })

  it('source_isOfTheGreatestEpoch_beforeTheGreatestNext', () => {
    const later: Lineage = [
      [0, 0],
      [4, 1],
      [5, 6],
    ]
    const { result } = run({ r1: answer(9), r2: answer(6, { lineage: later as [number, number][] }), r3: answer(9) })
    expect(result).toMatchObject({ source: 'r2', shippers: [{ id: 'r2' }] })
  })

  it('oneAnswer_isEnough_afterSealWait', () => {
    expect(run({ r3: answer(2) }).result).toMatchObject({ source: 'r3', fit: ['r3'] })
  })

  it('memberOfTheNextEpoch_isWaitedForLonger', () => {
    expect(run({ r3: answer(2) }, [], ['r3']).tookMs).toBe(DEFAULT_PARAMS.sealWaitMs)
    expect(run({ r3: answer(2) }, [], ['r2', 'r3']).tookMs).toBe(DEFAULT_PARAMS.failMs / 2)
    expect(run({ r1: answer(2), r2: answer(2), r3: answer(2) }).tookMs).toBe(0)
  })

  it('noAnswer_isAbandoned', () => {
    expect(run({}).result).toMatchObject({
      kind: 'abandoned',
      reason: 'no member of epoch 4 could be sealed (no answer)',
    })
  })

  it('amnesia_isNeverASource_evenAlone', () => {
    const { result, lost } = run({ r1: answer(99, { ownEpoch: 3 }) })
    expect(result).toMatchObject({ kind: 'abandoned' })
    expect(lost).toEqual(['r1'])
  })

  it('nextBelowItsOwnReportedDurableIndex_isNeverASource', () => {
    const { result, lost } = run({ r1: answer(7) }, [{ durableIndex: 8 }])
    expect(result).toMatchObject({
      kind: 'abandoned',
      reason: 'no member of epoch 4 could be sealed (r1: has lost data)',
    })
    expect(lost).toEqual(['r1'])
  })

  it('nextBelowAReportedCommit_isNeverASource', () => {
    const server = { id: 'r2', storeId: 's', address: 'a:2' }
    expect(run({ r1: answer(7) }, [{ server, commitIndex: 8 }]).result).toMatchObject({ kind: 'abandoned' })
  })

  it('nextBelowACommitThatAnotherAnswers_isUnfit', () => {
    const { result, lost } = run({ r1: answer(9, { commitIndex: 9 }), r2: answer(8), r3: answer(9) })
    expect(result).toMatchObject({ source: 'r1', fit: ['r1', 'r3'], unfit: ['r2'] })
    expect(lost).toEqual(['r2'])
  })

  it('laterAttempt_endsThisOne', () => {
    const refusal = answer(9, { ok: false, reason: 'later', sealedFor: 6 })
    expect(run({ r1: answer(9), r2: refusal }).result).toMatchObject({
      kind: 'abandoned',
      reason: 'r2 is sealed for a later epoch already',
    })
  })
})

describe('ConfigNode', () => {
  it('promise_leavesOnlyWhenItIsDurable', () => {
    const peers = ['c1', 'c2', 'c3'].map((id) => ({ id, address: `${id}:1` }))
    const node = new ConfigNode(
      {
        id: 'c1',
        address: 'c1:1',
        peers,
        election: DEFAULT_ELECTION,
        wanted: 3,
        params: DEFAULT_PARAMS,
        newClusterId: 'x',
        pid: 1,
        startedAt: 0,
        version: 't',
        seed: 1,
      },
      { storeId: 's1', promised: { round: 0, node: '' }, accepted: [] },
      0,
    )
    const from = { id: 'c2', storeId: 's2' }
    const ballot = { round: 1, node: 'c2' }
    const prepare = { kind: 'message', from, message: { kind: 'prepare', ballot, standing: null } } as const
    const first = node.step(1, prepare).filter((e) => e.kind !== 'address')
    expect(first).toEqual([{ kind: 'write', token: 1, writes: [{ kind: 'promised', ballot }] }])
    // A duplicate needs no write of its own, but must not overtake the first one's.
    expect(node.step(2, prepare)).toEqual([])
    const promise = { kind: 'promise', ballot, formed: false, address: 'c1:1', accepted: [] }
    const send = { kind: 'send', to: 'c2', message: promise }
    expect(node.step(3, { kind: 'written', token: 1 })).toEqual([send, send])
    expect(() => node.step(4, { kind: 'written', token: 3 })).toThrow('writes become durable in their order')
  })

  it('soleSurvivorWithAmnesia_bringsNoEpoch', () => {
    const net = new Network({ replicas: 3, params: { minReplicas: 1 } })
    net.runUntil(() => net.main?.epoch === 1 && net.write(), 10_000, 'epoch 1')
    for (let i = 0; i < 50; i++) net.write()
    net.runFor(500)
    for (const id of ['r1', 'r2', 'r3']) net.crash(id)
    const r3 = net.replicas.get('r3')!
    r3.next = 5
    net.restart('r3')
    net.runFor(5_000)
    expect(net.main!.epoch).toBe(1)
    net.restart('r2')
    net.runUntil(() => net.main!.epoch > 1, 5_000, 'an epoch from r2')
    expect(net.main!.start).toBe(net.committed)
  })
})
