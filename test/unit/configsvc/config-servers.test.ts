// PROTOCOL P6, changes of the config servers: one story per rule, on the small network; it fails by itself when a version is chosen twice.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Accepted, ConfigState, Sender, Standing } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { changeProblem, changed } from '../../../packages/configsvc/src/core/config-servers.js'
import { genesisState, newerVoters, tally, votersOf } from '../../../packages/configsvc/src/core/formation.js'
import type { Promised } from '../../../packages/configsvc/src/core/formation.js'
import { Network } from './network.js'

const entry = (id: string) => ({ id, storeId: `store-${id}`, address: `${id}:1` })
const state = (...ids: string[]): ConfigState => genesisState('main', 'cluster', ids.map(entry), 3, DEFAULT_PARAMS)
const ids = (net: Network): string[] => net.main!.configServers.map((s) => s.id)

function running(configs = 3): Network {
  const net = new Network({ configs, replicas: 3 })
  net.untilActive(['r1', 'r2', 'r3'])
  return net
}

function note(net: Network, id: string): string {
  net.replies.length = 0
  net.ask(id, 7, { kind: 'status', requestId: 1 })
  const answer = net.replies[0]!.message
  return answer.kind === 'statusAnswer' ? answer.status.note : ''
}

/** Every config server, and the one that takes its place. */
const ALL_REPLACED = [
  ['c1', 'c4'],
  ['c2', 'c5'],
  ['c3', 'c6'],
] as const

describe('replace', () => {
  it('ofEachServer_oneAfterTheOther_keepsTheCluster', () => {
    const net = running()
    const { clusterId } = net.main!
    for (const [old, next] of ALL_REPLACED) {
      net.joinConfig(next)
      const result = net.change({ add: { id: next, address: `${next}:1` }, remove: old })
      expect(result).toMatchObject({ ok: true })
      net.runFor(2_000)
      expect(note(net, old)).toBe(`${old} was removed from the config servers and can be stopped`)
      net.crash(old)
    }
    net.runFor(3_000)
    expect(ids(net)).toEqual(['c4', 'c5', 'c6'])
    expect(net.main).toMatchObject({ clusterId, formerConfigServers: ['c1', 'c2', 'c3'], epoch: 1 })
    expect(['c4', 'c5', 'c6']).toContain(net.leader!.id)
    expect(net.reconfigure(['r2', 'r1', 'r3'])).toMatchObject({ ok: true })
  })

  it('ofTheLeader_endsItsLeadership_andAnotherOneLeads', () => {
    const net = running()
    const old = net.leader!.id
    net.joinConfig('c4')
    expect(net.change({ add: { id: 'c4', address: 'c4:1' }, remove: old })).toMatchObject({ ok: true })
    net.runUntil(() => net.leader !== undefined && net.leader.id !== old)
    net.runFor(5_000)
    expect(net.configs.get(old)!.core!.view.isLeader).toBe(false)
    expect(ids(net)).not.toContain(old)
  })

  it('ofADeadServer_works_andTheSameRequestAgain_hasTheSameAnswer', () => {
    const net = running()
    const dead = ['c1', 'c2', 'c3'].find((id) => id !== net.leader!.id)!
    net.crash(dead)
    net.joinConfig('c4')
    const change = { add: { id: 'c4', address: 'c4:1' }, remove: dead }
    const first = net.change(change, 'once')
    expect(first).toMatchObject({ ok: true })
    expect(net.change(change, 'once')).toEqual(first)
    // Another operator with the same wish finds it done.
    expect(net.change(change, 'twice')).toMatchObject({ ok: true })
    expect(net.main!.formerConfigServers).toEqual([dead])
  })

  it('ofTheOnlyServer_movesTheRegister', () => {
    const net = running(1)
    net.joinConfig('c2')
    expect(net.change({ add: { id: 'c2', address: 'c2:1' }, remove: 'c1' })).toMatchObject({ ok: true })
    net.runUntil(() => net.leader?.id === 'c2')
    expect(net.reconfigure(['r3', 'r2', 'r1'])).toMatchObject({ ok: true })
  })

  it('whoseLeaderDiesAfterTheAdd_isFinishedByTheNextLeader', () => {
    const net = running()
    net.joinConfig('c4')
    const change = { add: { id: 'c4', address: 'c4:1' }, remove: 'c1' }
    net.ask(net.leader!.id, 5, { kind: 'changeConfigServers', requestId: 1, adminId: 'x', change })
    net.runUntil(() => ids(net).length === 4)
    net.crash(net.leader!.id)
    expect(net.change(change, 'x')).toMatchObject({ ok: true })
    expect(ids(net)).toEqual(['c2', 'c3', 'c4'])
  })
})

describe('refusals', () => {
  it('problems_areNamed', () => {
    const s = changed(state('c1', 'c2', 'c3', 'c9'), null, 'c9')
    const to = (id: string, address = `${id}:1`) => ({ id, address })
    expect(changeProblem(s, { add: null, remove: null }, [])).toMatch('nothing is asked')
    expect(changeProblem(s, { add: to('c4'), remove: 'c7' }, [])).toBe('c7 is no config server; they are c1, c2, c3')
    expect(changeProblem(s, { add: to('c1'), remove: 'c1' }, [])).toMatch('c1 was used before')
    expect(changeProblem(s, { add: to('c9'), remove: null }, [])).toMatch('c9 was used before')
    expect(changeProblem(s, { add: to('r1'), remove: null }, ['r1'])).toBe('r1 is the name of a replica')
    expect(changeProblem(s, { add: to('c2', 'x:1'), remove: null }, [])).toMatch('already, at c2:1')
    expect(changeProblem(s, { add: to('c4', 'c2:1'), remove: 'c1' }, [])).toBe('c2:1 is the address of c2')
    expect(changeProblem(state('c1'), { add: null, remove: 'c1' }, [])).toMatch('the only config server')
    // The machine of a dead server is used again; what is there already is no mistake.
    expect(changeProblem(s, { add: to('c4', 'c2:1'), remove: 'c2' }, [])).toBeUndefined()
    expect(changeProblem(s, { add: to('c2'), remove: 'c9' }, [])).toBeUndefined()
  })

  it('serverThatDoesNotAnswer_changesNothing', () => {
    const net = running()
    const result = net.change({ add: { id: 'c4', address: 'c4:1' }, remove: 'c1' })
    expect(result).toMatchObject({ ok: false, message: 'c4 does not answer at c4:1; nothing was changed' })
    expect(ids(net)).toEqual(['c1', 'c2', 'c3'])
  })

  it('removalThatLeavesNoMajority_isRefused', () => {
    const net = running()
    const [dead, alive] = ['c1', 'c2', 'c3'].filter((id) => id !== net.leader!.id)
    net.crash(dead!)
    net.runFor(1_500)
    const result = net.change({ add: null, remove: alive! })
    expect(result).toMatchObject({ ok: false })
    expect(result.message).toMatch(`${dead} would leave`)
    expect(ids(net)).toEqual(['c1', 'c2', 'c3'])
  })

  it('secondChangeMeanwhile_isRefusedAtOnce', () => {
    const net = running()
    const ask = (adminId: string, id: string): void =>
      net.ask(net.leader!.id, 5, {
        kind: 'changeConfigServers',
        requestId: 1,
        adminId,
        change: { add: { id, address: `${id}:1` }, remove: null },
      })
    ask('one', 'c4')
    ask('two', 'c5')
    expect(net.replies.at(-1)!.message).toMatchObject({
      result: { ok: false, message: 'another change of the config servers is in progress: add c4 at c4:1' },
    })
  })
})

describe('votes', () => {
  it('joiner_hasNoVote_andSaysWhatItWaitsFor', () => {
    const net = running()
    net.joinConfig('c4')
    net.runFor(3_000)
    expect(note(net, 'c4')).toBe('c4 has no vote; it waits to be added: coppice configsvc add, or replace')
    expect(net.configs.get('c4')!.core!.view.promised.round).toBe(0)
  })

  it('lostStoreUnderItsOldId_neverVotes_alsoWhileServersChange', () => {
    const net = running()
    const [lost, other] = ['c1', 'c2', 'c3'].filter((id) => id !== net.leader!.id)
    net.wipeConfig(lost!)
    net.restart(lost!)
    net.runFor(2_000)
    expect(note(net, lost!)).toMatch('its data was lost or replaced')
    // With the leader gone only one that remembers is left: nobody leads.
    const leader = net.leader!.id
    net.crash(leader)
    net.runFor(6_000)
    expect(net.leader).toBeUndefined()
    net.restart(leader)
    net.runUntil(() => net.leader !== undefined)
    net.joinConfig('c4')
    expect(net.change({ add: { id: 'c4', address: 'c4:1' }, remove: lost! })).toMatchObject({ ok: true })
    expect(ids(net)).toEqual([...['c1', 'c2', 'c3'].filter((id) => id !== lost), 'c4'])
    expect(ids(net)).toContain(other)
  })

  it('removedServer_thatMissedIt_disturbsNobody_andLearnsIt', () => {
    const net = running()
    const away = ['c1', 'c2', 'c3'].find((id) => id !== net.leader!.id)!
    net.isolate(away)
    net.joinConfig('c4')
    net.runFor(1_500)
    expect(net.change({ add: { id: 'c4', address: 'c4:1' }, remove: away })).toMatchObject({ ok: true })
    net.runFor(3_000)
    const { ballot } = net.leader!.core!.view
    net.heal()
    net.runFor(5_000)
    expect(net.leader!.core!.view.ballot).toEqual(ballot)
    expect(note(net, away)).toMatch('can be stopped')
    net.crash(away)
    net.restart(away)
    net.runFor(5_000)
    expect(net.leader!.core!.view.ballot).toEqual(ballot)
    expect(note(net, away)).toMatch('can be stopped')
  })

  it('serverThatMissedAnAdd_votesForTheOneAdded', () => {
    const net = running()
    const leader = net.leader!.id
    const [behind, gone] = ['c1', 'c2', 'c3'].filter((id) => id !== leader)
    net.joinConfig('c4')
    // `behind` hears of nothing while c4 is added and `gone` removed.
    net.isolate(behind!)
    expect(net.change({ add: { id: 'c4', address: 'c4:1' }, remove: gone! })).toMatchObject({ ok: true })
    net.crash(gone!)
    net.crash(leader)
    net.heal()
    net.runUntil(() => net.leader !== undefined, 10_000, 'a leader out of c4 and the one behind')
    expect(net.leader!.id).toBe('c4')
  })

  const at = (round: number, value: ConfigState): Accepted => ({
    ballot: { round, node: 'c1' },
    version: value.version,
    value,
  })
  const promise = (id: string, ...accepted: Accepted[]): [string, Promised] => [
    id,
    { storeId: `store-${id}`, address: `${id}:1`, accepted },
  ]
  const self = (id: string): Sender => ({ id, storeId: `store-${id}` })

  it('tally_countsTheVotersOfTheNewestValueSeen', () => {
    const [old, newer] = [at(1, state('c1', 'c2', 'c3')), at(2, state('c2', 'c3', 'c4', 'c5'))]
    const two = new Map([promise('c2', old), promise('c3', newer)])
    expect(tally(two, [], self('c2'))).toMatchObject({ kind: 'waiting' })
    expect(tally(new Map([...two, promise('c1', old)]), [], self('c2'))).toMatchObject({ kind: 'waiting' })
    expect(tally(new Map([...two, promise('c4')]), [], self('c2')).kind).toBe('adopt')
    expect(tally(two, [], self('c1'))).toEqual({ kind: 'noVote' })
  })

  it('newerVoters_areThoseOfTheNewerValue', () => {
    const accepted = at(2, state('c1', 'c2', 'c3'))
    const own = votersOf(accepted.value, [])
    const standing = (round: number): Standing => ({
      ballot: { round, node: 'c1' },
      version: 1,
      configServers: [entry('c4')],
    })
    expect(newerVoters(own, accepted, standing(3)).servers).toEqual([entry('c4')])
    expect(newerVoters(own, accepted, standing(1))).toBe(own)
    expect(newerVoters(own, accepted, null)).toBe(own)
  })
})

describe('groups', () => {
  it('nextStep_waitsUntilAMajorityOfThePresentListHoldsTheValueOfEveryGroup', () => {
    const net = running()
    net.addReplica('x1', 'other')
    net.runUntil(() => net.newestByGroup.get('other')?.servers.some((s) => s.id === 'x1') === true)
    net.joinConfig('c4')
    const old = ['c1', 'c2', 'c3'].find((id) => id !== net.leader!.id)!
    // Once c4 is added, nobody's acceptance of the other group's value arrives.
    net.filter = (_from, _to, m) =>
      ids(net).length < 4 || m.kind !== 'accepted' || (m as { group?: string }).group !== 'other'
    const change = { add: { id: 'c4', address: 'c4:1' }, remove: old }
    net.ask(net.leader!.id, 5, { kind: 'changeConfigServers', requestId: 1, adminId: 'x', change })
    net.runUntil(() => ids(net).length === 4)
    net.runFor(3_000)
    expect(ids(net)).toEqual(['c1', 'c2', 'c3', 'c4'])
    net.filter = () => true
    expect(net.change(change, 'x')).toMatchObject({ ok: true })
    expect(ids(net)).not.toContain(old)
  })

  it('newServer_isNotAddedBeforeItHoldsTheValueOfEveryGroup', () => {
    const net = running()
    net.addReplica('x1', 'other')
    net.runUntil(() => net.newestByGroup.get('other')?.servers.some((s) => s.id === 'x1') === true)
    net.joinConfig('c4')
    net.filter = (_from, to, m) =>
      to !== 'c4' || m.kind !== 'propose' || (m as { value?: ConfigState }).value?.group !== 'other'
    const result = net.change({ add: { id: 'c4', address: 'c4:1' }, remove: null })
    expect(result).toMatchObject({
      ok: false,
      message: 'c4 did not take over all that is chosen; nothing was changed',
    })
    expect(ids(net)).toEqual(['c1', 'c2', 'c3'])
  })

  it('copiesFollow_andAValueOutlivesEveryServerThatChoseIt', () => {
    const net = running()
    const spare = net.addReplica('x1', 'other')
    net.runUntil(() => net.newestByGroup.get('other')?.servers.some((s) => s.id === spare.id) === true)
    for (const [old, next] of ALL_REPLACED) {
      net.joinConfig(next)
      expect(net.change({ add: { id: next, address: `${next}:1` }, remove: old })).toMatchObject({ ok: true })
      net.crash(old)
    }
    net.runFor(3_000)
    const other = net.newestByGroup.get('other')!
    expect(other.configServers).toEqual(net.main!.configServers)
    expect(other.servers.map((s) => s.id)).toEqual(['x1'])
  })
})
