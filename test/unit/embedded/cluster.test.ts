// A cluster inside this process, as a user's test has it.
import { getEventListeners } from 'node:events'
import { setTimeout as realPause } from 'node:timers/promises'
import { CoppiceError, startEmbedded, type EmbeddedCluster, type EmbeddedOptions } from '@coppice/embedded'
import { type BytesPort, type Index, type Writer } from '@coppice/protocol'
import type { StateMachine } from '@coppice/replica'
import { connect } from '@coppice/vkv'
import { afterEach, expect, test, vi } from 'vitest'
import { freshDir } from '../replica-shell/support.js'

const open: EmbeddedCluster[] = []

async function started(options?: EmbeddedOptions): Promise<EmbeddedCluster> {
  const cluster = await startEmbedded(options)
  open.push(cluster)
  return cluster
}

afterEach(async () => {
  vi.useRealTimers()
  for (const cluster of open.splice(0)) await cluster.close()
})

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await realPause(10)
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'none'
  } catch (error) {
    if (error instanceof CoppiceError) return `${error.code}: ${error.message}`
    throw error
  }
}

test('cluster_byDefault_hasThreeReplicasAndAConfigServer_andAllOfTheStore', async () => {
  const cluster = await started()
  expect(cluster.ids).toEqual(['c1', 'r1', 'r2', 'r3'])
  const db = await cluster.connect()
  expect(await db.kv.put('a', '1')).toMatchObject({ key: 'a', value: '1' })
  expect(await db.kv.get('a')).toBe('1')
  expect((await db.kv.condPut('a', '0', '2')).ok).toBe(false)
  await db.withLock('l', (lock) => lock.kv.put('b', '2'))
  const large = 'x'.repeat(3_000_000)
  await db.kv.put('large', large)
  expect(await db.kv.get('large')).toBe(large)
  // A busy machine may have cost a member its place for a moment.
  await until(async () => (await cluster.status()).members.length === 3)
  const status = await cluster.status()
  expect(status).toMatchObject({ leader: 'c1', primary: status.members[0] })
  expect([...status.members].sort()).toEqual(['r1', 'r2', 'r3'])
  expect(status.servers.map(({ id, kind, state }) => `${id} ${kind} ${state}`)).toEqual([
    'c1 config running',
    'r1 replica running',
    'r2 replica running',
    'r3 replica running',
  ])
  expect(status.servers[0]!.said!.role).toBe('leader')
})

test('primaryCrashes_writesGoOn_itComesBackWithWhatItHad', async () => {
  const cluster = await started({ configServers: 3 })
  const db = await cluster.connect()
  await db.kv.put('a', '1')
  const { primary } = await cluster.status()
  await cluster.crash(primary)
  expect((await cluster.status()).servers.find(({ id }) => id === primary)).toMatchObject({ state: 'crashed' })
  await db.kv.put('a', '2')
  const after = await cluster.status()
  expect(after.epoch).toBeGreaterThan(1)
  expect(after.members).not.toContain(primary)
  await cluster.restart(primary)
  await until(async () => (await cluster.status()).members.includes(primary))
  await cluster.handover(primary)
  expect((await cluster.status()).primary).toBe(primary)
  expect(await db.kv.get('a', { from: 'primary' })).toBe('2')
})

test('allCrashAtOnce_whatWasAcknowledgedIsThere', async () => {
  const cluster = await started({ configServers: 3 })
  const db = await cluster.connect()
  await Promise.all(Array.from({ length: 500 }, (_, i) => db.kv.put(`k${i}`, String(i))))
  await Promise.all(cluster.ids.map((id) => cluster.crash(id)))
  await Promise.all(cluster.ids.map((id) => cluster.restart(id)))
  for (const i of [0, 250, 499]) expect(await db.kv.get(`k${i}`)).toBe(String(i))
  await db.kv.put('k0', 'after')
})

test('pausedPrimary_isReplaced_andFollowsWhenItGoesOn', async () => {
  const cluster = await started()
  const db = await cluster.connect()
  const { primary } = await cluster.status()
  await cluster.pause(primary)
  await db.kv.put('a', '1')
  expect((await cluster.status()).primary).not.toBe(primary)
  await cluster.resume(primary)
  await until(async () => (await cluster.status()).members.includes(primary))
  expect(await db.kv.get('a')).toBe('1')
})

test('partition_cutsOffThePrimary_healBringsItBack', async () => {
  const cluster = await started({ configServers: 3 })
  const db = await cluster.connect()
  const { primary } = await cluster.status()
  await cluster.partition(
    [primary],
    cluster.ids.filter((id) => id !== primary),
  )
  await db.kv.put('a', '1')
  expect((await cluster.status()).members).not.toContain(primary)
  await cluster.heal()
  await until(async () => (await cluster.status()).members.includes(primary))
})

test('partition_ofAClientByItsName_othersGoOn', async () => {
  const cluster = await started()
  const lonely = await cluster.connect({ name: 'lonely' })
  const db = await cluster.connect()
  await cluster.partition(['lonely'], cluster.ids)
  expect(await codeOf(lonely.kv.put('a', '1', { timeout: 100 }))).toMatch('TIMEOUT')
  await db.kv.put('a', '2')
  await cluster.heal()
  expect(await lonely.kv.get('a')).toMatch(/1|2/)
})

test('reconfigure_replacesAllMembers_andSaysWhyItCannot', async () => {
  const cluster = await started({ replicas: 2, spares: 2 })
  const db = await cluster.connect()
  await db.kv.put('a', '1')
  const { epoch } = await cluster.reconfigure(['r4', 'r3'])
  expect([...(await cluster.status()).members].sort()).toEqual(['r3', 'r4'])
  expect(await db.kv.get('a')).toBe('1')
  expect((await cluster.handover('r3')).epoch).toBeGreaterThan(epoch)
  expect(await codeOf(cluster.handover('r1'))).toMatch('CONFLICT: server r1 is not a member')
  expect(await codeOf(cluster.reconfigure(['r3', 'r3']))).toMatch('CONFLICT: ')
})

test('mistakes_areNamed', async () => {
  const cluster = await started({ replicas: 1 })
  expect(await codeOf(cluster.crash('r9'))).toBe('NOT_FOUND: there is no server r9; the cluster has c1, r1')
  expect(await codeOf(cluster.restart('r1'))).toBe('CONFLICT: r1 is running; crash it before it is started again')
  expect(await codeOf(cluster.partition(['r1']))).toMatch('INVALID_ARGUMENT: partition: name two sides')
  expect(await codeOf(cluster.partition(['r1'], ['x']))).toMatch('NOT_FOUND: there is no server x')
  expect(await codeOf(cluster.partition(['r1'], ['c1', 'r1']))).toBe('INVALID_ARGUMENT: partition: r1 is on two sides')
  expect(await codeOf(cluster.reconfigure(['c1']))).toBe('INVALID_ARGUMENT: c1 is a config server, not a replica')
  expect(await codeOf(cluster.connect({ name: 'r1' }))).toMatch('INVALID_ARGUMENT: a client cannot be called r1')
  expect(() => cluster.url).toThrow('start it with { listen: true }')
  await cluster.crash('r1')
  expect(await codeOf(cluster.crash('r1'))).toBe('CONFLICT: r1 has crashed already; restart it')
  expect(await codeOf(cluster.pause('r1'))).toBe('CONFLICT: r1 has crashed; restart it before it is paused')
  expect(await codeOf(cluster.resume('r1'))).toBe('CONFLICT: r1 has crashed; restart it')
  expect(await codeOf(startEmbedded({ replicas: 0 }))).toMatch(/INVALID_ARGUMENT: startEmbedded: [^]*replicas/)
  expect(await codeOf(startEmbedded({ configServers: 2 }))).toMatch(
    /INVALID_ARGUMENT: startEmbedded: [^]*configServers/,
  )
  expect(await codeOf(startEmbedded({ params: { failMs: 10 } }))).toMatch(
    'params: failMs (10) must be at least leaseMs',
  )
  expect(await codeOf(startEmbedded({ nodes: 3 } as EmbeddedOptions))).toMatch('nodes')
})

test('closed_everyCallSaysSo_clientsAreClosed_againIsNothing', async () => {
  const cluster = await startEmbedded({ replicas: 1 })
  const db = await cluster.connect()
  const waiting = codeOf(db.kv.put('a', '1'))
  await Promise.all([cluster.close(), cluster.close()])
  await cluster.close()
  expect(await waiting).toMatch(/none|CLOSED/)
  expect(await codeOf(db.kv.put('a', '1'))).toMatch('CLOSED')
  for (const call of [
    cluster.connect(),
    cluster.clerk(),
    cluster.crash('r1'),
    cluster.partition(['r1'], ['c1']),
    cluster.heal(),
    cluster.reconfigure(['r1']),
    cluster.handover('r1'),
    cluster.status(),
  ])
    expect(await codeOf(call)).toBe('CLOSED: the cluster is closed; start another one')
})

test('closed_withCrashedAndPausedServersAndPartitions_ends', async () => {
  const cluster = await startEmbedded({ configServers: 3 })
  await cluster.crash('r1')
  await cluster.pause('r2')
  await cluster.pause('c2')
  await cluster.partition(['c1'], ['c3', 'r3'])
  await cluster.close()
})

test('severalClusters_sideBySide_doNotKnowEachOther', async () => {
  const clusters = await Promise.all([started({ replicas: 1 }), started({ replicas: 2 }), started({ listen: true })])
  const dbs = await Promise.all(clusters.map((cluster) => cluster.connect()))
  await Promise.all(dbs.map((db, i) => db.kv.put('who', String(i))))
  expect(await Promise.all(dbs.map((db) => db.kv.get('who')))).toEqual(['0', '1', '2'])
  await clusters[0]!.close()
  await dbs[1]!.kv.put('who', 'still 1')
})

test('fakeTimersOfTheTest_stopNothing', async () => {
  vi.useFakeTimers()
  const cluster = await started()
  const db = await cluster.connect()
  await db.kv.put('a', '1')
  await cluster.crash((await cluster.status()).primary)
  await db.kv.put('a', '2')
  vi.setSystemTime(0)
  expect(await db.kv.get('a')).toBe('2')
  await cluster.close()
})

test('directory_aLaterCluster_goesOnThere', async () => {
  const storage = freshDir()
  const first = await started({ storage })
  const db = await first.connect()
  await db.kv.put('a', '1')
  await first.crash('r2')
  await db.kv.put('b', '2')
  await first.restart('r2')
  await first.close()
  const second = await started({ storage })
  const again = await second.connect()
  expect([await again.kv.get('a'), await again.kv.get('b')]).toEqual(['1', '2'])
  await expect(startEmbedded({ storage })).rejects.toThrow('in use by')
})

test('onLog_hearsTheServers_anErrorInItIsTheTests', async () => {
  const told = new Set<string>()
  await started({ onLog: ({ server, level, text }) => void told.add(`${server} ${level} ${text}`) })
  expect([...told]).toEqual(expect.arrayContaining(['c1 event leaderElected', 'r1 event activated']))
})

/** Adds numbers: an operation is one byte, the answer and the state are the sum. */
class Adder implements StateMachine {
  readonly digest = 'adder-1'
  private sum = 0
  private version = 0
  validateOperation(_: Uint8Array, start: number, end: number): string | undefined {
    return end - start === 1 ? undefined : 'one byte, please'
  }
  validateQuery(): undefined {
    return undefined
  }
  apply(index: Index, _elapsedMs: number, buffer: Uint8Array, start: number, _end: number, out: Writer): void {
    this.sum += buffer[start]!
    this.version = index
    out.u53(this.sum)
  }
  read(_buffer: Uint8Array, _start: number, _end: number, out: Writer): Index {
    out.u53(this.sum)
    return this.version
  }
  getState() {
    let piece: Uint8Array | undefined = nodeBytesOf(JSON.stringify([this.sum, this.version]))
    return {
      next: () => {
        const next = piece
        piece = undefined
        return next
      },
      release: () => undefined,
    }
  }
  setState() {
    let text = ''
    return {
      add: (piece: Uint8Array) => void (text += Buffer.from(piece).toString()),
      finish: () => void ([this.sum, this.version] = JSON.parse(text) as [number, number]),
    }
  }
  hash(): string {
    return String(this.sum)
  }
}

function nodeBytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text))
}

test('machineOfYourOwn_runsByAClerk_throughACrash', async () => {
  const cluster = await started({ machine: (_bytes: BytesPort) => new Adder() })
  const clerk = await cluster.clerk()
  const sum = (reply: Uint8Array): number => Number(Buffer.from(reply).readBigUInt64LE())
  await clerk.submit(Uint8Array.of(5))
  await cluster.crash((await cluster.status()).primary)
  expect(sum(await clerk.submit(Uint8Array.of(7)))).toBe(12)
  expect(await codeOf(clerk.submit(new Uint8Array(2)))).toMatch('one byte, please')
  expect(await codeOf(cluster.connect())).toMatch('CONFLICT: this cluster runs a state machine of your own')
})

test('signalAndTimeout_areObeyed_andNoListenerStays', async () => {
  const cluster = await started({ replicas: 1 })
  const controller = new AbortController()
  const { signal } = controller
  const db = await cluster.connect({ signal })
  await cluster.status({ signal })
  expect(getEventListeners(signal, 'abort')).toEqual([])
  await cluster.pause('c1')
  const waiting = [cluster.handover('r1', { signal }), cluster.status({ signal }), cluster.connect({ signal })]
  const codes = waiting.map((call) => codeOf(call))
  expect(await codeOf(cluster.reconfigure(['r1'], { timeout: 50 }))).toMatch(/^(TIMEOUT|UNAVAILABLE)/)
  controller.abort('enough')
  for (const code of codes) expect(await code).toMatch('ABORTED')
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(await codeOf(cluster.connect({ signal: {} as never }))).toMatch('INVALID_ARGUMENT')
  await db.close()
})

test('withLock_withoutWork_isRefusedBeforeTheLockIsTaken', async () => {
  const cluster = await started({ replicas: 1 })
  const db = await cluster.connect()
  const words = 'INVALID_ARGUMENT: withLock: a function is wanted, not undefined'
  expect(await codeOf(db.withLock('l', undefined as never))).toBe(words)
  expect(await codeOf(db.withLock('l', { ttl: '1s' }, undefined as never))).toBe(words)
  expect(await db.withLock('l', { wait: 0 }, async (lock) => (await lock.kv.put('k', 'v')).key)).toBe('k')
})

test('connect_withoutAnAddress_saysWhatIsWanted', async () => {
  for (const address of [undefined, [7101], {}] as never[])
    expect(await codeOf(connect(address))).toMatch(/^INVALID_ARGUMENT: a cluster's address is wanted: 'coppice:/)
})
