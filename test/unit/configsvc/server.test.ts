// The config server as a process would run it: real sockets on loopback, lmdb in a temporary directory.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientToConfig, ConfigToClient } from '@coppice/protocol'
import { openRegisterStore, startConfigServer } from '@coppice/configsvc/server'
import type { RunningConfigServer } from '@coppice/configsvc/server'
import { wsDialer } from '@coppice/runtime'
import { createLogger } from '@coppice/runtime/server'
import { afterEach, describe, expect, it } from 'vitest'

const dirs: string[] = []
const servers: RunningConfigServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((s) => s.stop()))
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
})

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-configsvc-'))
  dirs.push(dir)
  return dir
}

async function freeAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise<void>((done) => server.close(() => done()))
  return `127.0.0.1:${port}`
}

async function ask(address: string, message: ClientToConfig): Promise<ConfigToClient> {
  const dialer = wsDialer<ClientToConfig, ConfigToClient>({
    role: 'client',
    linkKind: 'client-config',
    clusterId: () => '',
    group: 'main',
  })
  const link = dialer.dial(address)
  try {
    return await new Promise((resolve, reject) => {
      link.onMessage = resolve
      link.onClose = (reason) => reject(new Error(reason))
      link.send(message)
    })
  } finally {
    link.onClose = undefined
    link.close()
  }
}

async function untilLeader(addresses: readonly string[]): Promise<string> {
  for (;;) {
    for (const address of addresses) {
      const answer = await ask(address, { kind: 'getConfig', requestId: 1, group: 'main' }).catch(() => undefined)
      if (answer?.kind === 'config' && answer.configuration !== null && answer.leader !== '') return answer.leader
    }
  }
}

const logger = createLogger({ id: 'test', role: 'config', level: 'silent' })

describe('startConfigServer', () => {
  it('three_formACluster_andFormItOnlyOnce', async () => {
    const peers = await Promise.all(['c1', 'c2', 'c3'].map(async (id) => ({ id, address: await freeAddress() })))
    const data = peers.map(() => directory())
    const start = async (i: number): Promise<void> => {
      const { id, address } = peers[i]!
      servers.push(await startConfigServer({ dataDir: data[i]!, id, listen: address, peers, logger }))
    }
    await Promise.all([0, 1, 2].map(start))
    const addresses = peers.map((p) => p.address)
    const leader = await untilLeader(addresses)
    expect(['c1', 'c2', 'c3']).toContain(leader)
    const first = await ask(addresses[peers.findIndex((p) => p.id === leader)]!, {
      kind: 'getGroup',
      requestId: 2,
      group: 'main',
    })
    if (first.kind !== 'groupAnswer' || first.state === null) throw new Error('no state')
    expect(first.state).toMatchObject({ epoch: 0, members: [], wanted: 3 })
    expect(first.state.configServers.map((s) => s.address)).toEqual(addresses)
    await Promise.all(servers.splice(0).map((s) => s.stop()))
    await Promise.all([0, 1].map(start))
    await untilLeader(addresses.slice(0, 1))
    const again = await ask(addresses[0]!, { kind: 'getConfig', requestId: 3, group: 'main' })
    expect(again.kind === 'config' && again.configuration?.clusterId).toBe(first.state.clusterId)
  })

  it('status_saysRoleAndProcess', async () => {
    const peers = [{ id: 'c1', address: await freeAddress() }]
    servers.push(await startConfigServer({ dataDir: directory(), id: 'c1', listen: peers[0]!.address, peers, logger }))
    await untilLeader([peers[0]!.address])
    const answer = await ask(peers[0]!.address, { kind: 'status', requestId: 1 })
    expect(answer.kind === 'statusAnswer' && answer.status).toMatchObject({
      id: 'c1',
      role: 'leader',
      pid: process.pid,
      note: 'group main waits for 3 servers to register: none yet',
    })
  })

  it('dataDirectoryInUse_isRefusedByName', async () => {
    const dataDir = directory()
    const peers = [{ id: 'c1', address: await freeAddress() }]
    servers.push(await startConfigServer({ dataDir, id: 'c1', listen: peers[0]!.address, peers, logger }))
    await expect(startConfigServer({ dataDir, id: 'c1', listen: '127.0.0.1:0', peers, logger })).rejects.toThrow(
      /in use by config server c1 \(pid \d+\)/,
    )
  })

  it.each([
    [
      [
        { id: 'c1', address: 'a:1' },
        { id: 'c2', address: 'b:1' },
      ],
      'peers: a cluster has 1, 3 or 5 config servers, not 2',
    ],
    [[{ id: 'c2', address: 'a:1' }], 'peers: c1 itself is missing among c2'],
  ])('peers_%j_areRefused', async (peers, message) => {
    await expect(
      startConfigServer({ dataDir: directory(), id: 'c1', listen: '127.0.0.1:0', peers, logger }),
    ).rejects.toThrow(message)
  })

  it('directoryOfAnotherCluster_stopsNamingBoth', async () => {
    const alone = [{ id: 'c1', address: await freeAddress() }]
    const foreign = directory()
    const first = await startConfigServer({
      dataDir: foreign,
      id: 'c1',
      listen: alone[0]!.address,
      peers: alone,
      logger,
    })
    await untilLeader([alone[0]!.address])
    await first.stop()

    const peers = await Promise.all(['c1', 'c2', 'c3'].map(async (id) => ({ id, address: await freeAddress() })))
    const start = (id: string, address: string, dataDir: string): Promise<RunningConfigServer> =>
      startConfigServer({ dataDir, id, listen: address, peers, logger })
    const started = await Promise.all(peers.map(({ id, address }) => start(id, address, directory())))
    servers.push(...started.slice(1))
    await untilLeader(peers.map((p) => p.address))
    await started[0]!.stop()
    const misplaced = await start('c1', peers[0]!.address, foreign)
    const { exitCode, reason } = await misplaced.stopped
    expect(exitCode).toBe(1)
    expect(reason).toContain(`data directory ${foreign} belongs to cluster`)
    expect(reason).toMatch(/not to that of c[23] \(cluster .*c[23] \(cluster/)
  })
})

describe('openRegisterStore', () => {
  const ballot = { round: 7, node: 'c1' }

  it('writes_surviveReopening', async () => {
    const dir = directory()
    const store = await openRegisterStore(dir, 'c1')
    expect(store.recovered).toMatchObject({ promised: { round: 0, node: '' }, accepted: [] })
    await new Promise<void>((durable) => store.write([{ kind: 'promised', ballot }], durable))
    await store.close()
    const again = await openRegisterStore(dir, 'c1')
    expect(again.recovered).toEqual({ storeId: store.recovered.storeId, promised: ballot, accepted: [] })
    await again.close()
  })

  it('anotherIdsStore_isRefused', async () => {
    const dir = directory()
    await (await openRegisterStore(dir, 'c1')).close()
    await expect(openRegisterStore(dir, 'c2')).rejects.toThrow(/belongs to config server c1, not to c2/)
  })

  it('flippedByte_isRefused', async () => {
    const dir = directory()
    const store = await openRegisterStore(dir, 'c1')
    await new Promise<void>((durable) => store.write([{ kind: 'promised', ballot }], durable))
    await store.close()
    const file = readdirSync(join(dir, 'register')).find((name) => name.endsWith('data.mdb'))!
    const path = join(dir, 'register', file)
    const bytes = readFileSync(path)
    // Every place: lmdb keeps older pages, and only the newest copy is read.
    const needle = Buffer.from('{"round":7,"node":"c1"}')
    let found = 0
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
      bytes[at + 9]! ^= 1
      found++
    }
    expect(found).toBeGreaterThan(0)
    writeFileSync(path, bytes)
    await expect(openRegisterStore(dir, 'c1')).rejects.toThrow(/is damaged: the checksum of promised is wrong/)
  })
})
