// What a change of epoch cost, by the leader's clock: the line it adds to the register.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { ConfigState } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { genesisState } from '../../../packages/configsvc/src/core/formation.js'
import { Pauses } from '../../../packages/configsvc/src/core/pauses.js'
import { Network } from './network.js'

function state(epoch: number, leaseReads = true): ConfigState {
  return { ...genesisState('main', 'cluster', [], 3, { ...DEFAULT_PARAMS, leaseReads }), epoch }
}

describe('Pauses', () => {
  it('leads_afterAPlannedChange_countsFromTheSeal_readsFromTheLastRelease', () => {
    const pauses = new Pauses()
    pauses.writesStopped(100)
    pauses.released(110, 'r1')
    pauses.released(130, 'r2')
    pauses.released(190, 'r2') // a repeated ack
    pauses.activated(state(2))
    pauses.granted(142, 2)
    pauses.granted(150, 2)
    expect(pauses.leads(160, 2)).toEqual({ epoch: 2, writePauseMs: 60, readPauseMs: 12 })
    expect(pauses.leads(170, 2)).toBeUndefined()
  })

  it('leads_afterAFailover_countsFromTheSilence', () => {
    const pauses = new Pauses()
    pauses.trouble(500)
    pauses.trouble(700)
    pauses.writesStopped(1_500)
    pauses.released(1_520, 'r1')
    pauses.activated(state(2))
    pauses.trouble(undefined)
    pauses.granted(1_530, 2)
    expect(pauses.leads(1_560, 2)).toEqual({ epoch: 2, writePauseMs: 1_060, readPauseMs: 10 })
  })

  it('leads_afterTroubleThatPassed_countsFromTheSeal', () => {
    const pauses = new Pauses()
    pauses.trouble(500)
    pauses.trouble(undefined)
    pauses.writesStopped(2_000)
    pauses.activated(state(2))
    pauses.granted(2_010, 2)
    expect(pauses.leads(2_020, 2)).toEqual({ epoch: 2, writePauseMs: 20, readPauseMs: 0 })
  })

  it('leads_afterAnEpochThatNeverRan_countsFromTheFirstSeal', () => {
    const pauses = new Pauses()
    pauses.writesStopped(100)
    pauses.released(110, 'r1')
    pauses.activated(state(2))
    pauses.trouble(120)
    pauses.writesStopped(1_200)
    pauses.released(1_210, 'r1')
    pauses.activated(state(3))
    expect(pauses.leads(1_220, 2)).toBeUndefined()
    pauses.granted(1_230, 3)
    expect(pauses.leads(1_240, 3)).toEqual({ epoch: 3, writePauseMs: 1_140, readPauseMs: 1_120 })
  })

  it('leads_withoutLeases_readsWaitAsLongAsWrites', () => {
    const pauses = new Pauses()
    pauses.writesStopped(100)
    pauses.activated(state(2, false))
    expect(pauses.leads(140, 2)).toEqual({ epoch: 2, writePauseMs: 40, readPauseMs: 40 })
  })
})

describe('the line of an epoch', () => {
  function running(): Network {
    const net = new Network({ replicas: 6 })
    net.untilActive(['r1', 'r2', 'r3'])
    net.runFor(1_000)
    return net
  }
  const line = (net: Network) => net.main!.history.at(-1)!

  it('plannedChange_pausesAreMeasuredOnceThePrimaryLeads', () => {
    const net = running()
    expect(net.reconfigure(['r4', 'r5', 'r6'])).toMatchObject({ ok: true })
    net.runFor(500)
    const { writePauseMs, readPauseMs, epoch } = line(net)
    expect(epoch).toBe(2)
    expect(writePauseMs).toBeGreaterThan(0)
    expect(readPauseMs!).toBeLessThan(writePauseMs!)
    // Measuring changed nothing but the line.
    expect(net.main!.epoch).toBe(2)
    expect(net.events.filter((e) => e.name === 'epochMeasured' && e.fields['epoch'] === 2)).toHaveLength(1)
  })

  it('failover_writePauseCountsFromWhenTheMemberWasLastHeard', () => {
    const net = running()
    net.crash('r2')
    net.runUntil(() => net.main!.epoch === 2, 5_000, 'epoch 2')
    net.runUntil(() => line(net).writePauseMs !== null, 2_000, 'the pause')
    expect(line(net).writePauseMs).toBeGreaterThan(DEFAULT_PARAMS.failMs)
    expect(line(net).readPauseMs).toBeLessThan(DEFAULT_PARAMS.failMs / 2)
  })

  it('leaderDiesBeforeItIsMeasured_staysUnknown', () => {
    const net = running()
    const { leader } = net
    net.filter = (_from, _to, m) => m.kind !== 'report'
    net.ask(leader!.id, 1, { kind: 'admin', requestId: 1, adminId: 'a', group: 'main', to: ['r4', 'r2', 'r3'] })
    net.runUntil(() => net.main!.epoch === 2, 5_000, 'epoch 2')
    net.crash(leader!.id)
    net.filter = () => true
    net.runFor(4_000)
    expect(net.main!.history.find((e) => e.epoch === 2)).toMatchObject({ writePauseMs: null, readPauseMs: null })
  })
})
