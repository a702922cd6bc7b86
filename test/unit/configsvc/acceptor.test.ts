import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Accepted, ConfigState, Sender } from '@coppice/protocol'
import { describe, expect, it, vi } from 'vitest'
import { Acceptor } from '../../../packages/configsvc/src/core/acceptor.js'
import { compareBallots } from '../../../packages/configsvc/src/core/ballot.js'
import { genesisState, tally } from '../../../packages/configsvc/src/core/formation.js'
import type { Promised } from '../../../packages/configsvc/src/core/formation.js'
import { Electorate } from '../../../packages/configsvc/src/core/register/electorate.js'
import { Proposer, type ProposerHost } from '../../../packages/configsvc/src/core/register/proposer.js'

const zero = { round: 0, node: '' }
const b1 = { round: 1, node: 'c1' }
const b2 = { round: 1, node: 'c2' }
const b3 = { round: 2, node: 'c1' }
const servers = ['c1', 'c2', 'c3'].map((id) => ({ id, storeId: `s-${id}`, address: `${id}:1` }))

function value(version: number, wanted = 3): ConfigState {
  return { ...genesisState('main', 'cluster', servers, wanted, DEFAULT_PARAMS), version }
}

function acceptor(): Acceptor {
  return new Acceptor({ storeId: 's', promised: zero, accepted: [] })
}

describe('ballots', () => {
  it('compare_byRoundThenNode', () => {
    expect([b3, b2, zero, b1].toSorted(compareBallots)).toEqual([zero, b1, b2, b3])
  })
})

describe('Acceptor', () => {
  it('prepare_writesThePromise_thenPromises', () => {
    expect(acceptor().onPrepare(b1, 'c9:1')).toEqual({
      writes: [{ kind: 'promised', ballot: b1 }],
      reply: { kind: 'promise', ballot: b1, formed: false, address: 'c9:1', accepted: [] },
    })
  })

  it('prepare_again_promisesAgain_withoutAWrite', () => {
    const a = acceptor()
    a.onPrepare(b1, '')
    expect(a.onPrepare(b1, '')).toMatchObject({ writes: [], reply: { kind: 'promise' } })
  })

  it('lowerBallot_isRefused_everywhere', () => {
    const a = acceptor()
    a.onPrepare(b2, '')
    const reply = { kind: 'ballotRefused', ballot: b1, promised: b2 }
    expect(a.onPrepare(b1, '')).toEqual({ writes: [], reply })
    expect(a.onPropose(b1, 1, value(1))).toEqual({ writes: [], reply })
    expect(a.onConfirm(b1, 1, [])).toEqual({ writes: [], reply, learned: [] })
  })

  it('propose_ofAHigherBallot_promisesToo', () => {
    const a = acceptor()
    const accepted = { ballot: b3, version: 1, value: value(1) }
    expect(a.onPropose(b3, 1, value(1))).toEqual({
      writes: [
        { kind: 'promised', ballot: b3 },
        { kind: 'accepted', group: 'main', accepted },
      ],
      reply: { kind: 'accepted', ballot: b3, group: 'main', version: 1 },
    })
    expect(a.promised).toEqual(b3)
  })

  it('lateDuplicateOfAnOlderVersion_changesNothing', () => {
    const a = acceptor()
    a.onPropose(b1, 1, value(1))
    a.onPropose(b1, 2, value(2))
    expect(a.onPropose(b1, 1, value(1))).toBeUndefined()
    expect(a.onPropose(b1, 2, value(2))).toMatchObject({ writes: [], reply: { kind: 'accepted', version: 2 } })
    expect(a.acceptedByGroup.get('main')!.version).toBe(2)
  })

  it('higherBallot_mayGoBackToALowerVersion', () => {
    const a = acceptor()
    a.onPropose(b1, 2, value(2))
    a.onPropose(b3, 1, value(1))
    expect(a.acceptedByGroup.get('main')).toMatchObject({ ballot: b3, version: 1 })
  })

  it('confirm_learnsOnlyWhatWasAcceptedInThatBallot', () => {
    const a = acceptor()
    a.onPropose(b1, 1, value(1))
    expect(a.onConfirm(b3, 4, [['main', 1]])).toEqual({
      writes: [{ kind: 'promised', ballot: b3 }],
      reply: { kind: 'confirmed', ballot: b3, round: 4, missing: ['main'] },
      learned: [],
    })
    a.onPropose(b3, 1, value(1, 5))
    expect(a.onConfirm(b3, 5, [['main', 1]])).toMatchObject({ reply: { missing: [] }, learned: [{ wanted: 5 }] })
    a.onPropose(b3, 2, value(2))
    // Version 2 is not chosen yet, and version 1 is not missing.
    expect(a.onConfirm(b3, 6, [['main', 1]])).toMatchObject({ reply: { missing: [] }, learned: [] })
  })

  it('recovery_neverPromisesLessThanWasAccepted', () => {
    const accepted: Accepted = { ballot: b3, version: 1, value: value(1) }
    expect(new Acceptor({ storeId: 's', promised: b1, accepted: [accepted] }).promised).toEqual(b3)
  })
})

describe('tally', () => {
  const peers = servers.map(({ id, address }) => ({ id, address }))
  const self = { id: 'c1', storeId: 's-c1' }
  const promise = (id: string, accepted: Accepted[] = [], storeId = `s-${id}`): [string, Promised] => [
    id,
    { storeId, address: `${id}:1`, accepted },
  ]
  const at = (ballot: typeof b1, version: number, wanted = 3): Accepted => ({
    ballot,
    version,
    value: value(version, wanted),
  })

  it('nothingAccepted_needsEverybody', () => {
    expect(tally(new Map([promise('c1'), promise('c2')]), peers, self)).toMatchObject({ kind: 'waiting' })
    expect(tally(new Map([promise('c1'), promise('c2'), promise('c3')]), peers, self)).toEqual({
      kind: 'form',
      configServers: servers,
    })
  })

  it('adopts_theHighestBallot_thenVersion', () => {
    const won = tally(
      new Map([promise('c1', [at(b1, 9)]), promise('c2', [at(b2, 3)]), promise('c3', [at(b2, 4, 7)])]),
      peers,
      self,
    )
    expect(won.kind === 'adopt' && won.values.get('main')).toMatchObject({ version: 4, wanted: 7 })
  })

  it('storeThatWasNotRecorded_doesNotCount', () => {
    expect(tally(new Map([promise('c1', [at(b1, 1)]), promise('c2', [], 'wiped')]), peers, self)).toMatchObject({
      kind: 'waiting',
    })
    expect(tally(new Map([promise('c1', [at(b1, 1)]), promise('c2', [])]), peers, self).kind).toBe('adopt')
  })
})

describe('Proposer', () => {
  const ids = ['c1', 'c2', 'c3']
  const from = (id: string): Sender => ({ id, storeId: `s-${id}` })
  const host = () => ({
    electorate: new Electorate(servers),
    onProposing: vi.fn<ProposerHost['onProposing']>(),
    send: vi.fn<ProposerHost['send']>(),
    onChosen: vi.fn<ProposerHost['onChosen']>(),
  })

  it('recommit_isTheAdoptedValueUnchanged_andComesFirst', () => {
    const h = host()
    const p = new Proposer(b1, value(5), h)
    p.update(
      (s) => ({ ...s, wanted: 1 }),
      () => undefined,
    )
    expect(h.send.mock.calls).toEqual(
      ids.map((id) => [id, { kind: 'propose', ballot: b1, version: 5, value: value(5) }]),
    )
    p.onAccepted(from('c1'), 5)
    expect(p.chosen).toBeUndefined()
    p.onAccepted(from('c1'), 5)
    expect(p.chosen).toBeUndefined()
    p.onAccepted(from('c3'), 5)
    expect(h.onChosen.mock.calls).toEqual([[value(5)]])
    expect(h.send.mock.calls.slice(3)).toEqual(
      ids.map((id) => [id, { kind: 'propose', ballot: b1, version: 6, value: value(6, 1) }]),
    )
  })

  it('repeat_saysTheSameProposal_toWhoDidNotAccept', () => {
    const h = host()
    const p = new Proposer(b1, value(1), h)
    p.onAccepted(from('c2'), 1)
    h.send.mockClear()
    p.repeat(false)
    expect(h.send.mock.calls.map((c) => c[0])).toEqual(['c1', 'c3'])
    expect(h.send.mock.calls[0]![1]).toMatchObject({ version: 1, value: value(1) })
  })

  it('updates_areMadeOfTheNewestChosen_oneAtATime', () => {
    const h = host()
    const p = new Proposer(b1, value(1), h)
    const seen: (number | undefined)[] = []
    p.update(
      (s) => ({ ...s, wanted: s.wanted + 1 }),
      (v) => seen.push(v?.wanted),
    )
    p.update(
      (s) => (s.wanted === 4 ? undefined : s),
      (v) => seen.push(v?.wanted),
    )
    p.update(
      (s) => ({ ...s, wanted: s.wanted + 1 }),
      (v) => seen.push(v?.wanted),
    )
    for (const version of [1, 2, 3]) for (const id of ['c1', 'c2']) p.onAccepted(from(id), version)
    expect(seen).toEqual([4, undefined, 5])
    expect(p.chosen!.version).toBe(3)
  })

  it('acceptanceOfAnotherVersion_countsForNothing', () => {
    const p = new Proposer(b1, value(1), host())
    p.onAccepted(from('c1'), 2)
    p.onAccepted(from('c2'), 2)
    expect(p.chosen).toBeUndefined()
  })
})
