import { describe, expect, test } from 'vitest'
import { nodeText } from '@coppice/runtime'
import { EventQueue } from '../../../packages/sim/src/kernel/event-queue.js'
import { Kernel } from '../../../packages/sim/src/kernel/kernel.js'
import { NodeClock } from '../../../packages/sim/src/kernel/clock.js'
import { Network } from '../../../packages/sim/src/kernel/network.js'
import { Trace } from '../../../packages/sim/src/kernel/trace.js'
import { ClientHost } from '../../../packages/sim/src/hosts/client-host.js'
import { Prng } from '../../../packages/sim/src/kernel/prng.js'
import { setTraps } from '../../../packages/sim/src/kernel/traps.js'

describe('prng', () => {
  test('next_same_seed_same_numbers_other_seed_others', () => {
    const draw = (seed: number) =>
      Array.from(
        { length: 50 },
        (
          (r) => () =>
            r.next()
        )(new Prng(seed)),
      )
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw(7)).not.toEqual(draw(7 + 2 ** 32))
    for (const x of draw(3)) expect(x >= 0 && x < 1).toBe(true)
  })
  test('shuffle_keeps_all_elements', () => {
    const list = Array.from({ length: 20 }, (_, i) => i)
    const shuffled = new Prng(1).shuffle(list)
    expect(shuffled).not.toEqual(list)
    expect([...shuffled].sort((a, b) => a - b)).toEqual(list)
  })
  test('fork_is_independent_of_later_draws', () => {
    const a = new Prng(5)
    const forkA = a.fork()
    const b = new Prng(5)
    const forkB = b.fork()
    for (let i = 0; i < 10; i++) b.next()
    expect(Array.from({ length: 10 }, () => forkA.next())).toEqual(Array.from({ length: 10 }, () => forkB.next()))
  })
})

describe('event queue', () => {
  test('pop_orders_by_time_then_by_scheduling', () => {
    const queue = new EventQueue()
    const random = new Prng(2)
    const expected: [number, number][] = []
    for (let i = 0; i < 500; i++) {
      const time = random.int(40)
      queue.push(time, () => undefined)
      expected.push([time, i])
    }
    expected.sort((a, b) => a[0] - b[0] || a[1] - b[1])
    const popped: [number, number][] = []
    for (let e = queue.pop(); e !== undefined; e = queue.pop()) popped.push([e.time, e.seq])
    expect(popped).toEqual(expected)
  })
  test('pop_skips_cancelled', () => {
    const queue = new EventQueue()
    const first = queue.push(1, () => undefined)
    const second = queue.push(2, () => undefined)
    first.cancelled = true
    expect(queue.pop()).toBe(second)
    expect(queue.pop()).toBeUndefined()
  })
})

describe('kernel', () => {
  test('run_drains_client_promises_before_the_next_event', async () => {
    const kernel = new Kernel()
    const seen: string[] = []
    kernel.at(1, () => {
      kernel.touchClients()
      void (async () => {
        for (let i = 0; i < 8; i++) await undefined
        seen.push('client')
        kernel.endOfTurn(() => seen.push('end of turn'))
      })()
    })
    kernel.at(1, () => seen.push('next event'))
    await kernel.run(10, () => false)
    expect(seen).toEqual(['client', 'end of turn', 'next event'])
  })
  test('run_stops_at_its_time_and_goes_on_from_there', async () => {
    const kernel = new Kernel()
    const seen: number[] = []
    for (const at of [5, 1, 3]) kernel.at(at, () => seen.push(at))
    await kernel.run(3, () => false)
    expect([seen, kernel.now]).toEqual([[1, 3], 3])
    await kernel.run(9, () => false)
    expect(seen).toEqual([1, 3, 5])
  })
})

describe('clock', () => {
  test('now_runs_at_its_rate_and_is_continuous_when_it_changes', async () => {
    const kernel = new Kernel()
    const clock = new NodeClock(kernel, 1.05, 1_000, 0)
    kernel.at(100, () => undefined)
    await kernel.run(100, () => false)
    expect(clock.now()).toBeCloseTo(1_105)
    clock.setRate(0.95)
    expect(clock.now()).toBeCloseTo(1_105)
    expect(clock.trueTimeOf(1_105 + 95)).toBeCloseTo(200)
    expect(clock.trueDuration(95)).toBeCloseTo(100)
  })
})

test('traps_make_real_time_and_randomness_throw_until_removed', () => {
  const remove = setTraps()
  try {
    expect(() => Date.now()).toThrow('in simulation')
    expect(() => Math.random()).toThrow('in simulation')
  } finally {
    remove()
  }
  expect(Date.now()).toBeGreaterThan(0)
})

describe('client timers', () => {
  // Found by seed 17012: a client whose clock runs slow waited for a time that its clock, rounded, did not reach, again and again.
  test('a_timer_of_next_to_nothing_lets_time_go_on', async () => {
    const kernel = new Kernel()
    const network = new Network(kernel, new Prng(1), new Trace(false), {
      passMode: 'share',
      text: nodeText,
      latencyMs: 1,
      fifo: true,
      acrossRestarts: false,
    })
    const clock = new NodeClock(kernel, 0.97, 5, 0)
    const host = new ClientHost('k1', clock, new Prng(2), network, new Trace(false), () => undefined)
    let fired = 0
    const again = (): void => {
      if (++fired < 100) host.clock.after(1e-13, again)
    }
    kernel.at(8_268.413, again)
    await kernel.run(9_000, () => false)
    expect(fired).toBe(100)
    expect(kernel.now).toBeGreaterThanOrEqual(8_268.413 + 99 * 0.001 - 1e-6)
  })
})
