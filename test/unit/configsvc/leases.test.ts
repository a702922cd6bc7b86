// PROTOCOL 3, one story per rule; the network itself fails a test as soon as a lease outlives its epoch (I4).
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Sender } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { Leases } from '../../../packages/configsvc/src/core/leases.js'
import { Electorate } from '../../../packages/configsvc/src/core/register/electorate.js'
import { ConfirmRounds } from '../../../packages/configsvc/src/core/rounds.js'
import { genesisState } from '../../../packages/configsvc/src/core/formation.js'
import { Network } from './network.js'
import type { NetworkOptions } from './network.js'

function running(options: NetworkOptions = {}): Network {
  const net = new Network({ replicas: 3, ...options })
  net.runUntil(
    () => net.main?.epoch === 1 && net.main.members.every((id) => net.replicas.get(id)!.leaseValid()),
    10_000,
    'epoch 1',
  )
  return net
}

describe('leases', () => {
  it('lease_isRenewed_whileNothingHappens', () => {
    const net = running()
    for (let i = 0; i < 100; i++) {
      net.runFor(50)
      for (const id of ['r1', 'r2', 'r3']) expect(net.replicas.get(id)!.leaseValid()).toBe(true)
    }
  })

  it('deposedLeader_thatDoesNotKnowIt_grantsNothing', () => {
    // Without P5's help: what keeps the old leader from granting is the confirm round alone.
    const net = running({ election: { stepDownMs: 60_000 } })
    const old = net.leader!
    const others = [...net.configs.keys()].filter((id) => id !== old.id)
    for (const id of others) net.separate(old.id, id)
    for (const id of others) net.separate('r1', id)
    net.runUntil(() => (net.main?.epoch ?? 0) > 1, 6_000, 'an epoch without r1')
    expect(old.core!.view.isLeader).toBe(true)
    net.runFor(2_000)
    expect(net.main!.members).not.toContain('r1')
    expect(net.replicas.get('r1')!.leaseValid()).toBe(false)
  })

  it('newLeader_waitsOutTheLeasesOfItsPredecessor', () => {
    const net = running({ election: { heartbeatMs: 20, stepDownMs: 100, timeoutMs: 100 } })
    net.runFor(1_000)
    const r1 = net.replicas.get('r1')!
    const granted = net.effects.length
    const isGrant = ({ effect: e }: (typeof net.effects)[number]): boolean =>
      e.kind === 'send' && e.to === 'r1' && e.message.kind === 'grant'
    net.runUntil(() => net.effects.slice(granted).some(isGrant), 1_000, 'a grant')
    net.runFor(3)
    const until = r1.lease!.until
    net.crash(net.leader!.id)
    net.isolate('r1')
    expect(net.reconfigure(['r2', 'r3'])).toMatchObject({ ok: true })
    expect(net.main!.members).toEqual(['r2', 'r3'])
    expect(net.now).toBeGreaterThan(until)
  })

  it('relinquish_spareTheWait', () => {
    const net = running({ replicas: 6 })
    const at = net.now
    expect(net.reconfigure(['r4', 'r5', 'r6'])).toMatchObject({ ok: true })
    // All old members answered: nobody waited for a lease to end.
    expect(net.now - at).toBeLessThan(DEFAULT_PARAMS.leaseMs / 4)
    net.runFor(DEFAULT_PARAMS.renewMs * 2)
    expect(net.main!.history.at(-1)!.writePauseMs).toBeLessThan(100 + DEFAULT_PARAMS.renewMs * 2)
  })

  it('enterAcks_carryTheFirstLeaseOfTheEpoch', () => {
    const net = running({ replicas: 6 })
    expect(net.reconfigure(['r4', 'r5', 'r6'])).toMatchObject({ ok: true })
    net.runFor(5)
    for (const id of ['r4', 'r5', 'r6']) expect(net.replicas.get(id)!.leaseValid()).toBe(true)
  })
})

describe('Leases', () => {
  const main = {
    ...genesisState('main', 'c', [], 1, DEFAULT_PARAMS),
    epoch: 3,
    members: ['r1'],
    servers: [
      { id: 'r1', storeId: 's1', address: 'a:1' },
      { id: 'r2', storeId: 's2', address: 'a:2' },
    ],
  }

  it.each([
    [{ id: 'r1', storeId: 's1' }, 3, false, undefined],
    [{ id: 'r1', storeId: 's1' }, 2, false, 'epoch 2 is not the chosen epoch 3'],
    [{ id: 'r2', storeId: 's2' }, 3, false, 'r2 is not a member of epoch 3'],
    [{ id: 'r1', storeId: 'other' }, 3, false, 'r1 is registered with another store'],
    [{ id: 'r1', storeId: 's1' }, 3, true, 'epoch 3 is being replaced'],
  ])('refusal_%j_epoch%i_closed%j', (from, epoch, closed, refusal) => {
    const leases = new Leases(0)
    leases.closed = closed
    expect(leases.refusal(main, from, epoch)).toBe(refusal)
  })

  it('overAt_isTheLaterOfElectionAndGrant', () => {
    const leases = new Leases(1_000)
    expect(leases.overAt('r1', DEFAULT_PARAMS)).toBe(1_800)
    leases.granted(1_500, 'r1')
    expect(leases.overAt('r1', DEFAULT_PARAMS)).toBe(2_300)
    expect(leases.overAt('r2', DEFAULT_PARAMS)).toBe(1_800)
  })
})

describe('ConfirmRounds', () => {
  const from = (id: string): Sender => ({ id, storeId: `s-${id}` })
  const electorate = (...ids: string[]): Electorate =>
    new Electorate(ids.map((id) => ({ ...from(id), address: `${id}:1` })))

  it('waiter_needsARoundBegunAfterIt', () => {
    const rounds = new ConfirmRounds(0, electorate('a', 'b', 'c'))
    const ran: string[] = []
    expect(rounds.begin(10)).toBe(1)
    // Round 1 is under way: it began before the request and proves nothing.
    expect(rounds.afterRound(() => ran.push('late'))).toBe(false)
    rounds.onConfirmed(0, from('a'), 1)
    expect(rounds.onConfirmed(0, from('b'), 1)).toBe(true)
    expect(ran).toEqual([])
    expect(rounds.confirmedSince).toBe(10)
    rounds.begin(20)
    rounds.onConfirmed(0, from('a'), 2)
    rounds.onConfirmed(0, from('a'), 2)
    expect(ran).toEqual([])
    rounds.onConfirmed(0, from('b'), 2)
    expect(ran).toEqual(['late'])
  })

  it('waiter_withNoRoundUnderWay_beginsOneAtOnce', () => {
    const rounds = new ConfirmRounds(0, electorate('a'))
    expect(rounds.afterRound(() => undefined)).toBe(true)
  })

  it('laterRound_confirmsEarlierOnes_butNotTheOtherWay', () => {
    const rounds = new ConfirmRounds(0, electorate('a', 'b', 'c'))
    rounds.begin(1)
    rounds.begin(2)
    rounds.onConfirmed(0, from('a'), 2)
    rounds.onConfirmed(0, from('b'), 1)
    expect(rounds.confirmed).toBe(1)
    // A round that never began is nobody's acknowledgement.
    rounds.onConfirmed(0, from('b'), 9)
    expect(rounds.confirmed).toBe(1)
  })
})
