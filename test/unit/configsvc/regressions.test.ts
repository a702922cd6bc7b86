// What went wrong once in the config service, each case by its name and the rule it belongs to.
import { DEFAULT_PARAMS, adminResultSchema, configStateSchema } from '@coppice/protocol'
import type { ConfigState } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import type { ControllerHost } from '../../../packages/configsvc/src/core/controller.js'
import { genesisState } from '../../../packages/configsvc/src/core/formation.js'
import { Operators } from '../../../packages/configsvc/src/core/operators.js'
import { Network } from './network.js'

function running(replicas: number): Network {
  const net = new Network({ replicas })
  net.runUntil(() => net.main?.epoch === 1, 5_000, 'epoch 1')
  net.runFor(1_000)
  return net
}

describe('members', () => {
  // R4: nobody else notices while nothing is written, and its reads would go on from what is left.
  it('member_whoseDurableIndexGoesBack_isReplaced', () => {
    const net = running(3)
    for (let i = 0; i < 5; i++) net.write()
    net.runFor(1_000)
    const [, lossy] = net.main!.members
    net.replicas.get(lossy!)!.next -= 3
    net.runUntil(() => net.main!.epoch === 2, 4_000, 'an epoch without the member that lost data')
    expect(net.main!.history.at(-1)!.detail).toContain(`${lossy} has lost data`)
    expect(net.main!.members).not.toContain(lossy)
  })

  it('reportThatComesLate_isNoLostData', () => {
    const net = new Network({ replicas: 3, duplication: 0.5, seed: 3 })
    net.runUntil(() => net.main?.epoch === 1, 5_000, 'epoch 1')
    for (let i = 0; i < 40; i++) {
      net.write()
      net.runFor(100)
    }
    expect(net.main!.epoch).toBe(1)
  })

  // D1: it was let learn, and refused only at ENTER, when the old epoch had been stopped for it.
  it('serverWithAnotherStateMachine_isRefusedBeforeAnythingIsStopped', () => {
    const net = running(4)
    const spare = [...net.replicas.keys()].find((id) => !net.main!.members.includes(id))!
    net.replicas.get(spare)!.digest = 'another'
    net.runFor(500)
    const result = net.reconfigure([...net.main!.members.slice(0, 2), spare])
    expect(result).toMatchObject({ ok: false, epoch: 1 })
    expect(result.message).toContain('another')
    expect(net.replicas.get(spare)!.learned).toBe(false)
    expect(net.events.some((e) => e.fields['step'] === 'seal')).toBe(false)
  })
})

describe('operators', () => {
  // A value that no acceptor can read again stops the group's register for good.
  it('resultOfAnyLength_canBeReadAgain', () => {
    let chosen: ConfigState = genesisState('main', 'cluster', [], 3, DEFAULT_PARAMS)
    const name = (i: number): string => `${i}`.padStart(60, 'n')
    const servers = Array.from({ length: 64 }, (_, i) => ({ id: name(i), storeId: 's', address: 'h:1' }))
    chosen = { ...chosen, servers }
    const answers: unknown[] = []
    const host = {
      id: 'c1',
      get chosen() {
        return chosen
      },
      update: (mutate: (s: ConfigState) => ConfigState | undefined, done: (s: ConfigState | undefined) => void) => {
        chosen = mutate(chosen) ?? chosen
        done(chosen)
      },
      reply: (_: number, m: { result?: unknown }) => answers.push(m.result),
      event: () => undefined,
    } as unknown as ControllerHost
    const operators = new Operators(host)
    const request = { kind: 'admin', requestId: 1, group: 'main' } as const
    operators.add(1, { ...request, adminId: 'a', to: ['unknown'] })
    operators.add(1, { ...request, adminId: 'b', to: [name(1)] })
    operators.conclude({ requestId: 'b', ok: false, message: 'x'.repeat(5_000), epoch: 0 }, () => undefined)
    expect(answers.length).toBe(2)
    for (const a of answers) expect(adminResultSchema.safeParse(a).success).toBe(true)
    expect(configStateSchema.safeParse(chosen).success).toBe(true)
  })
})
