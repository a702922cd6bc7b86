// The network inside a process: frames arrive whole, in order, later than they are sent, and not at all where nothing passes.
import type { Channel } from '@coppice/runtime'
import { nextTurn } from '@coppice/runtime'
import { expect, test } from 'vitest'
import { Gate } from '../../../packages/embedded/src/shell/gate.js'
import { Network } from '../../../packages/embedded/src/shell/network.js'

/** One end, with all that it heard. */
class End {
  readonly heard: string[] = []
  readonly channel: Channel

  constructor(channel: Channel) {
    this.channel = channel
    channel.owner = {
      onOpen: () => this.heard.push('open'),
      onFrame: (frame, isBinary) => this.heard.push(`${isBinary ? '' : 'text '}${frame.join()}`),
      onDrain: () => this.heard.push('drain'),
      onError: (reason) => this.heard.push(`error ${reason}`),
      onClose: (code, reason) => this.heard.push(`close ${code} ${reason}`),
    }
  }

  send(...bytes: number[]): void {
    this.channel.send(Uint8Array.from(bytes))
  }

  /** What was heard since the last time. */
  take(): string[] {
    return this.heard.splice(0)
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 6; i++) await nextTurn()
}

async function connected() {
  const network = new Network()
  network.name('r1', 'r1:1')
  const accepted: End[] = []
  const callers: string[] = []
  const listener = await network.transportOf('r1', false).listen('r1:1', (channel, from) => {
    accepted.push(new End(channel))
    callers.push(from)
  })
  const client = new End(network.dialOf('app')('r1:1'))
  await settled()
  expect(client.take()).toEqual(['open'])
  expect(callers).toEqual(['app'])
  return { network, listener, client, server: accepted[0]!, accepted }
}

test('frames_arriveInOrder_inALaterTurn_asTheyWere', async () => {
  const { client, server } = await connected()
  const frame = Uint8Array.of(1, 2)
  client.channel.send(frame)
  frame.fill(9)
  client.send(3)
  expect(server.heard).toEqual([])
  expect(client.channel.bufferedBytes).toBe(3)
  await settled()
  expect(server.take()).toEqual(['1,2', '3'])
  expect(client.take()).toEqual(['drain'])
  expect(client.channel.bufferedBytes).toBe(0)
  server.send(4)
  await settled()
  expect(client.take()).toEqual(['4'])
})

test('sent_isCalledWhenTheFrameArrived', async () => {
  const { client, server } = await connected()
  const order: number[] = []
  client.channel.send(Uint8Array.of(1), () => order.push(server.heard.length))
  expect(order).toEqual([])
  await settled()
  expect(order).toEqual([1])
})

test('corked_nothingLeaves_untilUncorked', async () => {
  const { client, server } = await connected()
  client.channel.cork()
  client.send(1)
  await settled()
  expect(server.take()).toEqual([])
  client.channel.uncork()
  await settled()
  expect(server.take()).toEqual(['1'])
})

test('close_comesAfterWhatWasSent_andIsAnswered', async () => {
  const { client, server } = await connected()
  client.send(1)
  client.channel.close(1000, 'enough')
  client.send(2)
  server.send(3)
  await settled()
  expect(server.take()).toEqual(['1', 'close 1000 enough'])
  // What the other end had sent before it heard of the close is heard.
  expect(client.take()).toEqual(['3', 'close 1000 enough'])
  server.send(4)
  await settled()
  expect(client.take()).toEqual([])
})

test('bothClose_eachHearsItOnce', async () => {
  const { client, server } = await connected()
  client.channel.close(1000, 'a')
  server.channel.close(1001, 'b')
  await settled()
  expect(client.take()).toEqual(['close 1001 b'])
  expect(server.take()).toEqual(['close 1000 a'])
})

test('cut_endsAtOnce_theOtherEndHearsOfIt', async () => {
  const { client, server } = await connected()
  client.send(1)
  client.channel.cut()
  expect(client.take()).toEqual(['close 1006 '])
  await settled()
  expect(server.take()).toEqual(['1', 'close 1006 '])
})

test('nobodyListens_isRefusedByName', async () => {
  const { network, listener } = await connected()
  await listener.close()
  for (const address of ['r1:1', 'elsewhere:1']) {
    const late = new End(network.dialOf('app')(address))
    await settled()
    expect(late.take()).toEqual([`error nobody listens at ${address}`, 'close 1006 '])
  }
})

test('closedWhileItConnects_neverOpens', async () => {
  const { network, accepted } = await connected()
  const end = new End(network.dialOf('app')('r1:1'))
  end.channel.close(1000, '')
  await settled()
  expect(end.take()).toEqual(['close 1006 '])
  expect(accepted).toHaveLength(1)
})

test('partition_holdsEverythingBack_healLetsItThrough_inOrder', async () => {
  const { network, client, server, accepted } = await connected()
  network.partition([['app'], ['r1', 'r2']])
  client.send(1)
  server.send(2)
  const dialled = new End(network.dialOf('app')('r1:1'))
  const other = new End(network.dialOf('other')('r1:1'))
  await settled()
  expect([client.take(), server.take(), dialled.take(), other.take()]).toEqual([[], [], [], ['open']])
  client.send(3)
  expect(client.channel.bufferedBytes).toBe(2)
  network.heal()
  await settled()
  expect(server.take().sort()).toEqual(['1', '3', 'drain'])
  expect(client.take().sort()).toEqual(['2', 'drain'])
  expect(dialled.take()).toEqual(['open'])
  expect(accepted).toHaveLength(3)
})

test('pause_holdsBackWhatComesAndWhatGoes', async () => {
  const { network, client, server } = await connected()
  network.pause('r1')
  client.send(1)
  server.send(2)
  await settled()
  expect([client.take(), server.take()]).toEqual([[], []])
  network.resume('r1')
  await settled()
  expect([client.take().sort(), server.take()]).toEqual([
    ['2', 'drain'],
    ['1', 'drain'],
  ])
})

test('pausedAndPartitioned_nothingPassesBeforeBothEnd', async () => {
  const { network, client, server } = await connected()
  network.pause('r1')
  network.partition([['app'], ['r1']])
  client.send(1)
  network.resume('r1')
  await settled()
  expect(server.take()).toEqual([])
  network.heal()
  await settled()
  expect(server.take()).toEqual(['1'])
})

test('gate_keepsCopiesOfWhatComes_inOrder_withinItsBound', () => {
  const sent: string[] = []
  const below: Channel = {
    owner: undefined as never,
    bufferedBytes: 7,
    send: (frame) => sent.push(`send ${frame.join()}`),
    cork: () => sent.push('cork'),
    uncork: () => sent.push('uncork'),
    close: (code, reason) => sent.push(`close ${code} ${reason}`),
    cut: () => sent.push('cut'),
  }
  const gate = new Gate(300)
  const end = new End(gate.guard(below))
  const frame = Uint8Array.of(1)
  below.owner.onFrame(frame, true)
  gate.shut()
  below.owner.onFrame(frame, true)
  below.owner.onClose(1000, 'gone')
  frame.fill(9)
  expect(end.take()).toEqual(['1'])
  gate.open()
  expect(end.take()).toEqual(['1', 'close 1000 gone'])
  end.channel.cork()
  end.send(5)
  end.channel.uncork()
  end.channel.close(1001, 'bye')
  end.channel.cut()
  expect(sent).toEqual(['cork', 'send 5', 'uncork', 'close 1001 bye', 'cut'])
  expect(end.channel.bufferedBytes).toBe(7)
  gate.shut()
  const large = new Uint8Array(200)
  below.owner.onFrame(large, true)
  below.owner.onFrame(large, true)
  expect(sent.at(-1)).toBe('cut')
  expect(sent).toHaveLength(6)
})
