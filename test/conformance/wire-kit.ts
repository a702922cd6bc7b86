// What the wire's tests share: a server whose handlers record, events to wait for, and a raw WebSocket that can misbehave.
import { PROTOCOL_VERSION, type Sender } from '@coppice/protocol'
import { createLogger, ServerWire, type ServerRole, type WireMessages } from '@coppice/runtime/server'
import { WebSocket } from 'ws'

/** Values in the order in which they came; `next` waits for one. */
export class Inbox<T> {
  readonly all: T[] = []
  private readonly waiting: ((value: T) => void)[] = []
  private taken = 0

  readonly push = (value: T): void => {
    this.all.push(value)
    const wake = this.waiting.shift()
    if (wake === undefined) return
    this.taken++
    wake(value)
  }

  next(): Promise<T> {
    if (this.taken < this.all.length) return Promise.resolve(this.all[this.taken++]!)
    return new Promise((resolve) => this.waiting.push(resolve))
  }
}

export interface TestServer<R extends ServerRole = 'replica'> {
  readonly wire: ServerWire<R>
  readonly address: string
  readonly messages: Inbox<{ from: Sender; message: WireMessages[R]['hears'] }>
  readonly clients: Inbox<{ connection: number; message: WireMessages[R]['client'] }>
  readonly gone: Inbox<number>
  /** Lines of its log, parsed. */
  readonly log: Inbox<Record<string, unknown>>
}

export interface TestServerOptions {
  readonly storeId?: string
  readonly clusterId?: string
  readonly group?: string
  readonly listen?: string
  readonly refuseStore?: (peer: Sender) => string | undefined
}

const running = new Set<{ close(): Promise<void> }>()

export const startReplicaWire = (id: string, options?: TestServerOptions): Promise<TestServer> =>
  startWire('replica', id, options)
export const startConfigWire = (id: string, options?: TestServerOptions): Promise<TestServer<'config'>> =>
  startWire('config', id, options)

async function startWire<R extends ServerRole>(
  role: R,
  id: string,
  options: TestServerOptions = {},
): Promise<TestServer<R>> {
  const messages: TestServer<R>['messages'] = new Inbox()
  const clients: TestServer<R>['clients'] = new Inbox()
  const gone = new Inbox<number>()
  const log = new Inbox<Record<string, unknown>>()
  const wire = new ServerWire<R>({
    role,
    id,
    storeId: options.storeId ?? `store-${id}`,
    group: options.group ?? 'main',
    listen: options.listen ?? '127.0.0.1:0',
    clusterId: () => options.clusterId ?? 'cluster-a',
    ...(options.refuseStore === undefined ? {} : { refuseStore: options.refuseStore }),
    handlers: {
      onMessage: (from, message) => messages.push({ from, message }),
      onClient: (connection, message) => clients.push({ connection, message }),
      onClientGone: gone.push,
    },
    logger: createLogger({ id, role, level: 'debug', write: (line) => log.push(JSON.parse(line)) }),
  })
  const address = await wire.listen()
  running.add(wire)
  return { wire, address, messages, clients, gone, log }
}

/** For `afterEach`. */
export async function stopAllWires(): Promise<void> {
  await Promise.all([...running].map((wire) => wire.close()))
  running.clear()
}

/** A WebSocket without manners. */
export class RawClient {
  readonly frames = new Inbox<Buffer>()
  readonly opened: Promise<void>
  readonly closed: Promise<{ code: number; reason: string }>
  readonly ws: WebSocket

  constructor(address: string) {
    this.ws = new WebSocket(`ws://${address}/`, { perMessageDeflate: false })
    this.ws.on('message', (data) => this.frames.push(data as Buffer))
    this.ws.on('error', () => undefined)
    this.opened = new Promise((resolve) => this.ws.once('open', resolve))
    this.closed = new Promise((resolve) => {
      this.ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  async hello(fields: Record<string, unknown> = {}): Promise<void> {
    await this.opened
    this.ws.send(helloFrame(fields))
  }
}

export function helloFrame(fields: Record<string, unknown> = {}): Buffer {
  const hello = { version: PROTOCOL_VERSION, role: 'client', clusterId: '', group: 'main', ...fields }
  return Buffer.concat([Buffer.of(0xf0), Buffer.from(JSON.stringify(hello))])
}

/** The JSON of a hello or refusal frame. */
export function jsonOf(frame: Buffer): Record<string, unknown> {
  return JSON.parse(frame.subarray(1).toString()) as Record<string, unknown>
}
