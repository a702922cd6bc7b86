// Bad input to real processes: each kind gets words that name what is wrong and the right exit code, and a client that works meanwhile
// never notices.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_FRAME_BYTES, PROTOCOL_VERSION } from '@coppice/protocol'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { jsonOf, RawClient } from '../conformance/wire-kit.js'
import { Cluster } from './support/cluster.js'
import { type Ran, runCommand } from './support/command.js'
import { Load } from './support/load.js'
import { freeAddress } from './support/ports.js'
import { COMMAND, ServerProcess } from './support/server-process.js'
import { until } from './support/wait.js'

const KIND = ['config', 'replica'] as const
let cluster: Cluster
let db: Db
let bystander: Load
let pids: readonly number[]

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
  db = await cluster.connect()
  bystander = new Load(await cluster.connect(), 'bystander', 3, [await cluster.connect()])
  pids = cluster.processes.map(({ pid }) => pid)
})
afterAll(() => cluster?.stop())
beforeEach(async () => {
  // Whatever the test before did: the load goes on, on the same processes.
  await bystander.moreWrites(20)
  expect(bystander.failures).toEqual([])
  expect(cluster.processes.map(({ pid }) => pid)).toEqual(pids)
})

async function target(kind: (typeof KIND)[number]): Promise<ServerProcess> {
  return kind === 'config' ? cluster.leader() : cluster.primary()
}

function coppice(...args: string[]): Promise<Ran> {
  return runCommand([...args, '--config', cluster.addresses.join(',')])
}

/** The hello was exchanged. */
async function connected(kind: (typeof KIND)[number]): Promise<RawClient> {
  const raw = new RawClient((await target(kind)).address)
  await raw.hello()
  await raw.frames.next()
  return raw
}

test.each(KIND)('garbageFrame_at_%s_closesNamingIt', async (kind) => {
  const raw = await connected(kind)
  raw.ws.send(Buffer.from([0x7e, 1, 2, 3]))
  const { code, reason } = await raw.closed
  expect({ code, reason }).toEqual({ code: 1002, reason: expect.stringContaining('message kind 126') })
})

test.each(KIND)('frameOverLimit_at_%s_closesNamingTheLimit', async (kind) => {
  const raw = await connected(kind)
  raw.ws.send(Buffer.alloc(MAX_FRAME_BYTES + 1))
  expect(await raw.closed).toEqual({ code: 1009, reason: `frame above the limit of ${MAX_FRAME_BYTES} bytes` })
})

test.each(KIND)('textFrame_at_%s_closesNamingIt', async (kind) => {
  const raw = await connected(kind)
  raw.ws.send('GET / HTTP/1.1')
  expect(await raw.closed).toEqual({ code: 1003, reason: expect.stringContaining('text frame') })
})

test.each(KIND)('wrongClusterId_at_%s_isRefusedByName', async (kind) => {
  const raw = new RawClient((await target(kind)).address)
  await raw.hello({ clusterId: 'somebody-elses' })
  const refusal = jsonOf(await raw.frames.next())
  expect(refusal).toMatchObject({ code: 'WRONG_CLUSTER', reason: expect.stringContaining('somebody-elses') })
  expect((await raw.closed).code).toBe(1008)
})

test.each(KIND)('wrongProtocolVersion_at_%s_isRefusedByName', async (kind) => {
  const raw = new RawClient((await target(kind)).address)
  await raw.hello({ version: PROTOCOL_VERSION + 7 })
  const reason = `protocol version ${PROTOCOL_VERSION + 7} met version ${PROTOCOL_VERSION}`
  expect(jsonOf(await raw.frames.next())).toEqual({ code: 'PROTOCOL_VERSION', reason })
  expect((await raw.closed).code).toBe(1008)
})

test('unknownOperation_isRefusedByName', async () => {
  const error = await db.clerk.submit(Uint8Array.of(250, 1, 2, 3)).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
  expect((error as Error).message).toContain('250')
  const query = await db.clerk.read(Uint8Array.of(250)).catch((caught: unknown) => caught)
  expect(query).toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('keyOverLimit_isUsageError', async () => {
  const ran = await coppice('kv', 'put', 'k'.repeat(1_025), 'value')
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toMatch(/has 1025 bytes, above the limit of 1024/)
  await expect(db.kv.put('k'.repeat(1_024), 'fits')).resolves.toMatchObject({ value: 'fits' })
})

test('valueOf17MiB_isUsageError_beforeItIsSent', async () => {
  const file = join(cluster.dir, 'large')
  writeFileSync(file, Buffer.alloc(17 * 1024 * 1024))
  const ran = await coppice('kv', 'put', 'large', '--file', file)
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toMatch(/17825792 bytes.*above the limit of 16777216/i)
  expect((await coppice('kv', 'get', 'large')).code).toBe(3)
  writeFileSync(file, Buffer.alloc(16 * 1024 * 1024, 7))
  expect(await coppice('kv', 'put', 'large', '--file', file)).toMatchObject({ code: 0, err: '' })
  const stored = await db.kv.bytes.get('large')
  expect(stored?.length).toBe(16 * 1024 * 1024)
  await db.kv.delete('large')
})

test('reconfigureTo_unknownServer_isNotFoundByName', async () => {
  const ran = await coppice('reconfigure', '--to', 'r1,nobody,r2')
  expect(ran).toMatchObject({ code: 3, out: '' })
  expect(ran.err).toContain('nobody')
  // Past the command's own look: the config service says so too.
  const { epoch } = (await cluster.view()).state
  const result = await cluster.admin.reconfigure(['r1', 'nobody', 'r2'], 'to-nobody')
  expect(result).toMatchObject({ ok: false, epoch, message: expect.stringContaining('nobody') })
})

test('reconfigureTo_duplicateServer_isUsageErrorByName', async () => {
  const ran = await coppice('reconfigure', '--to', 'r1,r2,r1')
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain('r1 is named twice')
  const result = await cluster.admin.reconfigure(['r1', 'r2', 'r1'], 'to-twice')
  expect(result).toMatchObject({ ok: false, message: expect.stringContaining('r1') })
})

test('configFile_withMisspeltField_isUsageErrorByName', async () => {
  const cwd = join(cluster.dir, 'misspelt')
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'coppice.json'), JSON.stringify({ tiemout: '5s' }))
  const ran = await runCommand(['status', '--config', cluster.addresses.join(',')], { cwd })
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toMatch(/coppice\.json.*"tiemout".*did you mean "timeout"/)
})

/** A server that is expected not to start: its exit code and words. */
async function refusedStart(args: readonly string[]): Promise<{ code: number | null; words: string }> {
  const server = new ServerProcess({ id: 'refused', kind: 'replica', address: '', dataDir: '' }, [
    COMMAND,
    'server',
    ...args,
  ])
  try {
    const { code, words } = await server.runToEnd()
    return { code, words }
  } finally {
    await server.kill()
  }
}

const replicaArgs = (id: string, listen: string, data: string, of = cluster): string[] => {
  const config = of.configServers.map((server) => `${server.id}=${server.address}`).join(',')
  return ['replica', '--id', id, '--listen', listen, '--config', config, '--data', data]
}

test('takenPort_isNamed', async () => {
  const { address } = cluster.replicas[0]!
  const { code, words } = await refusedStart(replicaArgs('r9', address, join(cluster.dir, 'r9')))
  const [host, port] = address.split(':')
  expect({ code, words }).toEqual({ code: 1, words: expect.stringContaining(`port ${port} of ${host} is taken`) })
})

test('dataDirInUse_isNamedWithItsHolder', async () => {
  const { dataDir, id, pid } = cluster.replicas[0]!
  const { code, words } = await refusedStart(replicaArgs(id, await freeAddress(), dataDir))
  expect({ code, words }).toEqual({ code: 1, words: expect.stringContaining(dataDir) })
  expect(words).toContain(`pid ${pid}`)
})

test('dataDirOfAnotherServer_isNamed', async () => {
  const { code, words } = await inDirOf(async (other) =>
    refusedStart(replicaArgs('r9', await freeAddress(), other.replicas[0]!.dataDir, other)),
  )
  expect(code).toBe(1)
  expect(words).toContain('r9')
})

test('dataDirOfAnotherCluster_isNamed', async () => {
  const { code, words } = await inDirOf(async (other) =>
    refusedStart(replicaArgs('r1', await freeAddress(), other.replicas[0]!.dataDir)),
  )
  expect({ code, words }).toEqual({ code: 1, words: expect.stringMatching(/data directory .* cluster/) })
})

test('dataDirOfAnotherCluster_atConfigServer_isNamed', async () => {
  const { code, words } = await inDirOf(async (other) => {
    const { dataDir } = other.configServers[0]!
    await other.configServers[0]!.stop()
    const listen = await freeAddress()
    const peers = cluster.configServers.slice(1).map((server) => `${server.id}=${server.address}`)
    const named = [`c1=${listen}`, ...peers].join(',')
    return refusedStart(['configsvc', '--id', 'c1', '--listen', listen, '--peers', named, '--data', dataDir])
  })
  expect({ code, words }).toEqual({ code: 1, words: expect.stringMatching(/data directory .* cluster/) })
})

/** With a second, small cluster whose only replica was stopped in order. */
async function inDirOf<T>(work: (other: Cluster) => Promise<T>): Promise<T> {
  const other = await Cluster.start({ configServers: 1, replicas: 1, wanted: 1 })
  try {
    await other.replicas[0]!.stop()
    return await work(other)
  } finally {
    await other.stop()
  }
}

test('flippedByteInTheLog_isReported_andTheOthersGoOn', async () => {
  const mark = `flip-me-${Math.random()}`
  await db.kv.put('flipped', mark)
  const backup = (await cluster.members())[2]!
  await backup.kill()
  expect(flip(backup.dataDir, mark)).toBeGreaterThan(0)
  const { code, words } = await backup.runToEnd()
  expect(code).toBe(1)
  expect(words).toMatch(/log record \d+ is damaged/)
  expect(words).toContain(backup.dataDir)
  // It is replaced by the spare, and what it held is still there.
  await until('group without it', async () => !(await cluster.view()).state.members.includes(backup.id))
  await cluster.whole()
  expect(await db.kv.get('flipped')).toBe(mark)
  pids = cluster.processes.map(({ pid }) => pid)
})

test('bystander_noticedNothing', async () => {
  await bystander.finish()
})

/** Flips one bit inside every place that holds `mark`; answers how many there were. */
function flip(dir: string, mark: string): number {
  let flipped = 0
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const path = join(dir, name)
    let content: Buffer
    try {
      content = readFileSync(path)
    } catch {
      continue
    }
    for (let at = content.indexOf(mark); at >= 0; at = content.indexOf(mark, at + 1)) {
      const fd = openSync(path, 'r+')
      writeSync(fd, Buffer.of(content[at]! ^ 1), 0, 1, at)
      closeSync(fd)
      flipped++
    }
  }
  return flipped
}
