// The controller dies at each arrow of PROTOCOL 2; the next one goes on by itself, under loss, duplication and clock skew.
import { describe, expect, it } from 'vitest'
import { Network } from './network.js'

function start(options: { loss?: number; duplication?: number; seed?: number; skew?: boolean } = {}): Network {
  const net = new Network({ replicas: 5, ...options })
  net.runUntil(() => net.main?.epoch === 1, 20_000, 'epoch 1')
  const again = (): void => {
    net.write()
    net.after(7, again)
  }
  again()
  return net
}

function settled(net: Network): boolean {
  const c = net.main!
  return c.members.length === 3 && c.members.every((id) => net.replicas.get(id)!.serves(c.epoch))
}

const STEPS = ['reserve', 'prepare', 'seal', 'enter', 'relinquish', 'activate']

describe('controller', () => {
  for (const step of STEPS) {
    it.each([0, 1, 3, 6])(`dies_after_${step}_and_%i_ms_theNextGoesOn`, (laterMs) => {
      const net = start()
      net.runFor(500)
      const before = net.events.length
      const request = net.leader!
      net.ask(request.id, 1, { kind: 'admin', requestId: 1, adminId: 'move', group: 'main', to: ['r5', 'r4', 'r1'] })
      net.runUntil(
        () => net.events.slice(before).some((e) => e.name === 'attemptStep' && e.fields['step'] === step),
        5_000,
        step,
      )
      net.runFor(laterMs)
      net.crash(request.id)
      const committed = net.committed
      net.runUntil(() => settled(net) && net.committed > committed, 10_000, 'an epoch that takes writes')
      expect(net.reconfigure(['r5', 'r4', 'r1'], 'move')).toMatchObject({ ok: true })
      net.runUntil(() => settled(net), 5_000, 'the new members')
      expect(net.main!.members).toEqual(['r5', 'r4', 'r1'])
    })
  }

  it.each(STEPS)('dies_after_%s_ofAFailover_theNextGoesOn', (step) => {
    if (step === 'prepare') return
    const net = start()
    net.runFor(500)
    const before = net.events.length
    net.crash('r1')
    net.runUntil(
      () => net.events.slice(before).some((e) => e.name === 'attemptStep' && e.fields['step'] === step),
      5_000,
      step,
    )
    net.crash(net.leader!.id)
    const committed = net.committed
    net.runUntil(() => settled(net) && net.committed > committed, 10_000, 'an epoch that takes writes')
    expect(net.main!.members).not.toContain('r1')
  })
})

describe('chaos', () => {
  it.each(Array.from({ length: 24 }, (_, i) => i + 1))('seed_%i_keepsTheInvariants_andHeals', (seed) => {
    const net = start({ loss: 0.05, duplication: 0.1, skew: true, seed })
    let state = seed * 7919
    const random = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return Math.floor((state / 0x80000000) * n)
    }
    const servers = [...net.configs.keys(), ...net.replicas.keys()]
    const down = new Set<string>()
    for (let i = 0; i < 12; i++) {
      const id = servers[random(servers.length)]!
      switch (random(4)) {
        case 0:
          if (!down.has(id)) net.crash(id)
          down.add(id)
          break
        case 1:
          net.isolate(id)
          break
        case 2:
          net.ask([...net.configs.keys()][random(3)]!, i, {
            kind: 'admin',
            requestId: i,
            adminId: `admin${i}`,
            group: 'main',
            to: [`r${1 + random(2)}`, `r${3 + random(3)}`],
          })
          break
        default:
          net.heal()
          for (const each of down) net.restart(each)
          down.clear()
      }
      net.runFor(200 + random(2_000))
    }
    net.heal()
    for (const each of down) net.restart(each)
    net.loss = 0
    const committed = net.committed
    const { wanted } = net.main!
    net.runUntil(
      () => net.committed > committed + 10 && net.main!.members.length >= Math.min(2, wanted),
      40_000,
      `writes after healing (seed ${seed})`,
    )
    // Calm after the storm: epochs may change while servers come back, not for ever.
    net.runFor(5_000)
    const { epoch } = net.main!
    net.runFor(10_000)
    expect(net.main!.epoch).toBeLessThanOrEqual(epoch + 2)
  })
})
