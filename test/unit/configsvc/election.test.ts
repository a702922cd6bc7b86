import { describe, expect, it } from 'vitest'
import { Network } from './network.js'

const elected = (net: Network): void =>
  net.runUntil(() => net.leader !== undefined && net.main !== undefined, 5_000, 'a leader')

describe('formation', () => {
  it('formation_ofThree_recordsEveryStore', () => {
    const net = new Network()
    elected(net)
    expect(net.main!.configServers.map((s) => [s.id, s.storeId])).toEqual([
      ['c1', 'store-c1'],
      ['c2', 'store-c2'],
      ['c3', 'store-c3'],
    ])
    expect(net.main).toMatchObject({ version: 1, epoch: 0, members: [], reservedEpoch: 0, wanted: 3 })
  })

  it('formation_withOneServerDown_waitsForIt', () => {
    const net = new Network()
    net.crash('c3')
    net.runFor(10_000)
    expect(net.main).toBeUndefined()
    expect(net.leader).toBeUndefined()
    net.restart('c3')
    elected(net)
  })

  it('formation_ofOne_leadsAlone', () => {
    const net = new Network({ configs: 1 })
    elected(net)
    expect(net.main!.configServers).toHaveLength(1)
  })

  it('formation_ofFive_underLoss_agrees', () => {
    const net = new Network({ configs: 5, loss: 0.2, duplication: 0.2, seed: 7 })
    net.runUntil(
      () => [...net.configs.values()].every((p) => p.core!.view.chosen('main') !== undefined),
      30_000,
      'all learn',
    )
    expect(new Set([...net.configs.values()].map((p) => p.core!.view.clusterId)).size).toBe(1)
  })

  it('wipedAcceptor_neverVotes', () => {
    const net = new Network()
    elected(net)
    net.wipeConfig('c1')
    net.restart('c1')
    net.crash('c2')
    // c3 alone remembers; the wiped c1 is up but must not make a majority with it.
    net.runFor(20_000)
    expect(net.leader).toBeUndefined()
    net.restart('c2')
    net.runUntil(() => net.leader !== undefined, 10_000, 'c2 and c3')
    expect(['c2', 'c3']).toContain(net.leader!.id)
  })

  it('wipedAcceptor_saysSoInItsStatus', () => {
    const net = new Network()
    elected(net)
    net.wipeConfig('c1')
    net.restart('c1')
    net.runFor(5_000)
    net.ask('c1', 1, { kind: 'status', requestId: 1 })
    const answer = net.replies.at(-1)!.message
    expect(answer.kind === 'statusAnswer' && answer.status.note).toMatch(/not the one the cluster knows/)
  })

  it('allButOneWiped_formsNoSecondCluster', () => {
    const net = new Network()
    elected(net)
    net.runFor(500)
    for (const id of ['c1', 'c2']) {
      net.wipeConfig(id)
      net.restart(id)
    }
    net.runFor(20_000)
    expect(net.leader).toBeUndefined()
    expect(net.eventsNamed('formed')).toHaveLength(1)
  })
})

describe('election', () => {
  it('leaderCrash_electsAnother_withTheSameValue', () => {
    const net = new Network()
    elected(net)
    const before = JSON.stringify(net.main)
    const old = net.leader!.id
    net.crash(old)
    net.runUntil(() => net.leader !== undefined && net.leader.id !== old, 5_000, 'a new leader')
    net.runFor(500)
    expect(JSON.stringify(net.leader!.core!.view.chosen('main'))).toBe(before)
  })

  it('isolatedLeader_stepsDown', () => {
    const net = new Network()
    elected(net)
    const old = net.leader!
    net.isolate(old.id)
    net.runFor(900)
    expect(old.core!.view.isLeader).toBe(false)
    net.runUntil(() => net.leader !== undefined, 5_000, 'the others elect')
    const now = net.leader!
    net.heal()
    net.runFor(5_000)
    // Pre-vote: the one that was cut off did not raise the ballot and disturbs nobody.
    expect(net.leader!.id).toBe(now.id)
    expect(net.leader!.core!.view.ballot).toEqual(now.core!.view.ballot)
  })

  it('restartedCandidate_neverReusesABallot', () => {
    const net = new Network({ seed: 3 })
    const ballots: string[] = []
    net.filter = (from, _to, m) => {
      if (m.kind === 'prepare') ballots.push(JSON.stringify((m as { ballot?: unknown }).ballot) + from)
      return true
    }
    for (let i = 0; i < 30; i++) {
      net.runFor(700)
      const before = new Set(ballots)
      for (const id of ['c1', 'c2', 'c3']) {
        net.crash(id)
        net.restart(id)
      }
      ballots.length = 0
      net.runFor(900)
      for (const b of ballots) expect(before.has(b)).toBe(false)
    }
  })

  it('restartOfAll_keepsTheCluster', () => {
    const net = new Network()
    elected(net)
    const { clusterId } = net.main!
    for (const id of net.configs.keys()) net.crash(id)
    for (const id of net.configs.keys()) net.restart(id)
    elected(net)
    net.runFor(1_000)
    expect(net.leader!.core!.view.chosen('main')!.clusterId).toBe(clusterId)
  })

  it('followers_learnChosenValues_andHintTheLeader', () => {
    const net = new Network()
    elected(net)
    net.runFor(500)
    const follower = [...net.configs.values()].find((p) => !p.core!.view.isLeader)!
    expect(follower.core!.view.chosen('main')).toEqual(net.main)
    net.ask(follower.id, 5, { kind: 'getConfig', requestId: 9, group: 'main' })
    expect(net.replies.at(-1)).toMatchObject({
      connection: 5,
      message: { kind: 'config', requestId: 9, leader: net.leader!.id, configuration: { version: 1 } },
    })
    net.ask(follower.id, 5, { kind: 'admin', requestId: 10, adminId: 'a', group: 'main', to: ['r1'] })
    expect(net.replies.at(-1)!.message).toEqual({
      kind: 'adminAnswer',
      requestId: 10,
      leader: net.leader!.id,
      result: null,
    })
  })
})
