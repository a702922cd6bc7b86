// When the primary follows the zone that most writes come from, and what keeps it where it is.
import { describe, expect, it } from 'vitest'
import { DEFAULT_AFFINITY } from '@coppice/protocol'
import type { Affinity, NodeId } from '@coppice/protocol'
import { Network } from './network.js'

const ZONES: Readonly<Record<NodeId, string>> = { r1: 'east', r2: 'west', r3: 'north', r4: 'south' }
const MINUTE = 60_000
/** The same in less time. */
const QUICK: Partial<Affinity> = { mode: 'auto', windowMs: 9_000, pauseMs: 15_000, operatorMs: 90_000 }

/** Three members in three zones, r1 in east leads. */
function running(affinity: Partial<Affinity> = { mode: 'auto' }, replicas = 3): Network {
  const net = new Network({ replicas, params: { affinity: { ...DEFAULT_AFFINITY, ...affinity } } })
  for (const [id, replica] of net.replicas) replica.zone = ZONES[id]
  net.runUntil(() => net.main?.epoch === 1 && net.main.members.every((id) => net.replicas.get(id)!.leaseValid()))
  return net
}

/** Runs for so long while clerks of these zones write so many operations a second. */
function write(net: Network, ms: number, perSecond: Readonly<Record<string, number>>): void {
  const end = net.now + ms
  while (net.now < end) {
    net.runFor(Math.min(1_000, end - net.now))
    for (const [zone, n] of Object.entries(perSecond)) net.countWrites(zone, n)
  }
}

const primary = (net: Network): NodeId => net.main!.members[0]!
const causes = (net: Network): string[] => net.main!.history.map(({ cause }) => cause)
function handOver(net: Network, to: NodeId): void {
  const from = net.replies.length
  const adminId = `to-${to}-${net.now}`
  net.ask(net.leader!.id, 1, { kind: 'admin', requestId: 1, adminId, group: 'main', to: [to], handover: true })
  net.runUntil(() => net.replies.length > from, 20_000, 'an answer')
}

describe('affinity auto', () => {
  it('primary_followsAZoneWithTwiceTheWrites', () => {
    const net = running()
    write(net, 2 * MINUTE, { east: 10, west: 25 })
    expect(net.main!.members).toEqual(['r2', 'r1', 'r3'])
    expect(net.main!.history.at(-1)).toMatchObject({ cause: 'affinity', detail: expect.stringContaining('r2 leads') })
    expect(net.main!.wanted).toBe(3)
    // It stays there.
    write(net, 5 * MINUTE, { east: 10, west: 25 })
    expect(causes(net)).toEqual(['bootstrap', 'affinity'])
  })

  it('primary_staysWhileNoZoneHasTwiceItsWrites', () => {
    const net = running()
    write(net, 5 * MINUTE, { east: 10, west: 19, north: 15 })
    expect(causes(net)).toEqual(['bootstrap'])
  })

  it('primary_goesWhereMostWritesAre_ifSeveralHaveTwice', () => {
    const net = running()
    write(net, 2 * MINUTE, { east: 1, west: 10, north: 30 })
    expect(primary(net)).toBe('r3')
  })

  it('burst_isNoReason', () => {
    const net = running()
    write(net, MINUTE, { east: 10 })
    write(net, 8_000, { west: 10_000 })
    write(net, 3 * MINUTE, { east: 10 })
    expect(causes(net)).toEqual(['bootstrap'])
  })

  it('fewWrites_areNoReason', () => {
    const net = running()
    for (let i = 0; i < 8; i++) {
      write(net, 29_000, {})
      net.countWrites('west', 2)
    }
    expect(causes(net)).toEqual(['bootstrap'])
  })

  it('zoneWithoutAMember_isPassedOver', () => {
    const net = running({ mode: 'auto' }, 4)
    write(net, 3 * MINUTE, { east: 1, south: 100 })
    expect(causes(net)).toEqual(['bootstrap'])
  })

  it('nothing_beforeTheWindowIsOver', () => {
    const net = running({ mode: 'auto', pauseMs: 1 })
    write(net, 29_000, { west: 100 })
    expect(causes(net)).toEqual(['bootstrap'])
    write(net, 10_000, { west: 100 })
    expect(primary(net)).toBe('r2')
  })

  it('onePauseBetweenHandOvers_whateverTheLoadDoes', () => {
    const net = running(QUICK)
    const at: number[] = []
    let last = net.main!.epoch
    for (let i = 0; i < 120; i++) {
      const busy = i % 24 < 12 ? 'west' : 'north'
      write(net, 1_000, { [busy]: 50 })
      if (net.main!.epoch !== last) at.push(net.now)
      last = net.main!.epoch
    }
    expect(at.length).toBeGreaterThan(2)
    for (let i = 1; i < at.length; i++) expect(at[i]! - at[i - 1]!).toBeGreaterThanOrEqual(14_000)
  })

  it('operatorsChoice_standsForItsTime', () => {
    const net = running(QUICK)
    handOver(net, 'r3')
    write(net, 88_000, { west: 50 })
    expect(primary(net)).toBe('r3')
    write(net, 10_000, { west: 50 })
    expect(primary(net)).toBe('r2')
  })

  it('operatorsChoiceOfThePrimaryItself_standsToo', () => {
    const net = running(QUICK)
    handOver(net, 'r1')
    expect(net.main!.epoch).toBe(1)
    write(net, 88_000, { west: 50 })
    expect(primary(net)).toBe('r1')
  })

  it('operatorsChoice_standsUnderTheNextLeader', () => {
    const net = running(QUICK)
    handOver(net, 'r3')
    const old = net.leader!.id
    net.crash(old)
    net.runUntil(() => net.leader !== undefined && net.leader.id !== old, 10_000, 'another leader')
    write(net, 85_000, { west: 50 })
    expect(primary(net)).toBe('r3')
    write(net, 15_000, { west: 50 })
    expect(primary(net)).toBe('r2')
  })

  it('nextLeader_waitsAsAfterAHandOver', () => {
    const net = running()
    const old = net.leader!.id
    net.crash(old)
    net.runUntil(() => net.leader !== undefined && net.leader.id !== old, 10_000, 'another leader')
    write(net, 55_000, { west: 50 })
    expect(causes(net)).toEqual(['bootstrap'])
    write(net, 10_000, { west: 50 })
    expect(primary(net)).toBe('r2')
  })

  it('memberInTrouble_getsNothing', () => {
    const net = running()
    net.replicas.get('r2')!.trouble = { kind: 'uncommitted', sinceMs: 100, waitingFor: ['r3'] }
    write(net, 3 * MINUTE, { west: 50 })
    expect(causes(net)).toEqual(['bootstrap'])
    net.replicas.get('r2')!.trouble = undefined
    write(net, 2_000, { west: 50 })
    expect(primary(net)).toBe('r2')
  })

  it('reportsThatComeLate_changeNothing', () => {
    const net = running()
    net.duplication = 0.5
    write(net, 3 * MINUTE, { east: 10, west: 15 })
    expect(causes(net)).toEqual(['bootstrap'])
  })
})

describe('affinity off', () => {
  it('primary_staysWhereItIs', () => {
    const net = running({ mode: 'off' })
    write(net, 5 * MINUTE, { west: 100 })
    expect(causes(net)).toEqual(['bootstrap'])
  })

  it('operator_turnsItOnAndOff_andTheRegisterKeepsIt', () => {
    const net = running({ mode: 'off' })
    expect(net.setAffinity('auto')).toMatchObject({ ok: true, message: 'affinity of group main is auto', epoch: 1 })
    expect(net.main).toMatchObject({ params: { affinity: { ...DEFAULT_AFFINITY, mode: 'auto' } }, wanted: 3, epoch: 1 })
    write(net, 2 * MINUTE, { west: 50 })
    expect(primary(net)).toBe('r2')
    expect(net.setAffinity('off')).toMatchObject({ ok: true })
    write(net, 5 * MINUTE, { east: 50 })
    expect(primary(net)).toBe('r2')
    // What was counted before it was off is forgotten.
    net.setAffinity('auto')
    write(net, 20_000, { north: 50 })
    expect(primary(net)).toBe('r2')
  })
})
