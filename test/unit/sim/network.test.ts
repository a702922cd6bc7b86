import { expect, test } from 'vitest'
import type { Message, Sender } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import { Kernel } from '../../../packages/sim/src/kernel/kernel.js'
import { Link } from '../../../packages/sim/src/kernel/links.js'
import type { LinkServer } from '../../../packages/sim/src/kernel/links.js'
import { Network } from '../../../packages/sim/src/kernel/network.js'
import { Prng } from '../../../packages/sim/src/kernel/prng.js'
import { Trace } from '../../../packages/sim/src/kernel/trace.js'
import type { PassMode } from '../../../packages/sim/src/kernel/by-value.js'

class Server implements LinkServer {
  readonly role = 'replica'
  storeId: string
  alive = true
  incarnation = 1
  readonly connections = new Map<number, Link>()
  readonly heard: { from: Sender; message: Message }[] = []
  readonly clients: string[] = []
  readonly id: string
  readonly address: string
  constructor(id: string) {
    this.id = id
    this.address = `${id}:1`
    this.storeId = `${id}-store`
  }
  receive(from: Sender, message: Message): void {
    this.heard.push({ from, message })
  }
  receiveClient(connection: number, message: Message): void {
    this.clients.push(`${message.kind}`)
    this.connections.get(connection)!.reply({ kind: 'hash', requestId: this.clients.length } as never)
  }
  clientGone(): void {
    this.clients.push('gone')
  }
}

function setUp(o: { fifo?: boolean; passMode?: PassMode; acrossRestarts?: boolean } = {}) {
  const kernel = new Kernel()
  const network = new Network(kernel, new Prng(4), new Trace(false), {
    passMode: o.passMode ?? 'share',
    text: nodeText,
    latencyMs: 1,
    fifo: o.fifo ?? false,
    acrossRestarts: o.acrossRestarts ?? false,
  })
  const a = new Server('a')
  const b = new Server('b')
  network.nodes.set('a', a)
  network.nodes.set('b', b)
  const rounds = () => b.heard.map((h) => (h.message as { round: number }).round)
  const ping = (round: number) => network.send(a, 'b', { kind: 'ping', epoch: 1, round })
  return { kernel, network, a, b, ping, rounds }
}
const run = (kernel: Kernel) => kernel.run(1e6, () => false)
const range = (n: number) => Array.from({ length: n }, (_, i) => i)

test('send_reorders_unless_fifo', async () => {
  for (const fifo of [true, false]) {
    const n = setUp({ fifo })
    for (const i of range(100)) n.ping(i)
    await run(n.kernel)
    expect([...n.rounds()].sort((x, y) => x - y)).toEqual(range(100))
    expect(JSON.stringify(n.rounds()) === JSON.stringify(range(100))).toBe(fifo)
    expect(n.b.heard[0]!.from).toEqual({ id: 'a', storeId: 'a-store' })
  }
})

test('send_one_way_partition_stops_one_way_only', async () => {
  const n = setUp()
  n.network.block('a', 'b')
  n.ping(1)
  n.network.send(n.b, 'a', { kind: 'ping', epoch: 1, round: 2 })
  await run(n.kernel)
  expect(n.rounds()).toEqual([])
  expect(n.a.heard).toHaveLength(1)
  n.network.healAll()
  n.ping(3)
  await run(n.kernel)
  expect(n.rounds()).toEqual([3])
})

test('send_loses_and_duplicates_some', async () => {
  const n = setUp()
  n.network.loss = 0.3
  n.network.duplication = 0.3
  for (const i of range(200)) n.ping(i)
  await run(n.kernel)
  expect(n.network.lost).toBeGreaterThan(20)
  expect(n.network.duplicated).toBeGreaterThan(20)
  expect(n.rounds()).toHaveLength(200 - n.network.lost + n.network.duplicated)
})

test('send_to_a_restarted_process_arrives_only_if_allowed_and_never_at_another_store', async () => {
  for (const acrossRestarts of [true, false]) {
    const n = setUp({ acrossRestarts })
    n.ping(1)
    n.b.incarnation++
    await run(n.kernel)
    expect(n.rounds()).toEqual(acrossRestarts ? [1] : [])
    n.ping(2)
    n.b.storeId = 'another'
    await run(n.kernel)
    expect(n.rounds()).not.toContain(2)
  }
})

test('pack_passes_by_value_in_every_mode', async () => {
  for (const passMode of ['share', 'freeze', 'codec'] as const) {
    const n = setUp({ passMode })
    const record = new Uint8Array([1, 2, 3])
    n.network.send(n.a, 'b', { kind: 'append', epoch: 1, prevIndex: 1, prevEntryEpoch: 0, commitIndex: 1, record })
    record.fill(9)
    await run(n.kernel)
    expect([...(n.b.heard[0]!.message as { record: Uint8Array }).record]).toEqual([1, 2, 3])
    const refused = { kind: 'fetchRefused', group: 'main', token: 1, reason: 'compacted' } as {
      kind: 'fetchRefused'
    } & Message
    n.network.send(n.a, 'b', refused)
    if (passMode === 'freeze') expect(() => ((refused as { token: number }).token = 2)).toThrow(TypeError)
    await run(n.kernel)
    expect(n.b.heard[1]!.message).toEqual({ kind: 'fetchRefused', group: 'main', token: 1, reason: 'compacted' })
  }
})

function connect(n: ReturnType<typeof setUp>) {
  const seen: string[] = []
  const client = { id: 'client', alive: true, run: (event: () => void) => event() }
  const link = new Link(n.network, client, n.b)
  link.onOpen = () => seen.push('open')
  link.onMessage = (m) => seen.push(`answer ${(m as { requestId: number }).requestId}`)
  link.onClose = (reason) => seen.push(reason)
  const send = () => link.send({ kind: 'hash', requestId: 0 } as never)
  return { link, seen, send }
}

test('link_keeps_order_through_a_partition', async () => {
  const n = setUp()
  const c = connect(n)
  c.send()
  await n.kernel.run(50, () => false)
  n.network.block('client', 'b')
  c.send()
  c.send()
  await n.kernel.run(500, () => false)
  expect(c.seen).toEqual(['open', 'answer 1'])
  n.network.healAll()
  c.send()
  await n.kernel.run(1_000, () => false)
  expect(c.seen).toEqual(['open', 'answer 1', 'answer 2', 'answer 3', 'answer 4'])
})

test('link_long_partition_closes_both_ends', async () => {
  const n = setUp()
  const c = connect(n)
  await n.kernel.run(50, () => false)
  n.network.block('b', 'client')
  c.send()
  await n.kernel.run(5_000, () => false)
  expect(c.seen).toEqual(['open', 'heartbeat lost'])
  expect(n.b.clients).toEqual(['hash', 'gone'])
})

test('link_to_a_dead_or_restarted_process_closes_once', async () => {
  const n = setUp()
  const c = connect(n)
  await n.kernel.run(50, () => false)
  n.b.incarnation++
  c.send()
  await run(n.kernel)
  expect(c.seen).toEqual(['open', 'connection reset'])
  n.b.alive = false
  const d = connect(n)
  await run(n.kernel)
  expect(d.seen).toEqual(['connection refused'])
  expect(d.link.open).toBe(false)
})
