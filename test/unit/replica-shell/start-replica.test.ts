import { startConfigServer, type RunningConfigServer } from '@coppice/configsvc/server'
import type { LogFields, Logger } from '@coppice/runtime/server'
import type { EventName } from '@coppice/protocol'
import type { ReplicaStorage, RunningReplica } from '@coppice/replica/server'
import { startVkvReplica, type StartVkvReplicaOptions } from '@coppice/vkv/server'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { freshDir, onCleanup } from './support.js'

/** A logger that remembers, and promises of events to come. */
class Journal implements Logger {
  readonly lines: { readonly name: string; readonly fields: LogFields }[] = []
  private waiting: { readonly name: string; readonly resolve: (fields: LogFields) => void }[] = []

  readonly event = (name: EventName, fields: LogFields = {}): void => this.take(name, fields)
  readonly debug = (text: string, fields: LogFields = {}): void => this.take(text, fields)
  readonly warn = (text: string, fields: LogFields = {}): void => this.take(text, fields)
  readonly error = (text: string, fields: LogFields = {}): void => this.take(text, fields)

  /** Fields of the first such event, past or to come. */
  seen(name: EventName): Promise<LogFields> {
    const past = this.lines.find((l) => l.name === name)
    if (past !== undefined) return Promise.resolve(past.fields)
    return new Promise((resolve) => this.waiting.push({ name, resolve }))
  }

  private take(name: string, fields: LogFields): void {
    this.lines.push({ name, fields })
    for (const w of this.waiting) if (w.name === name) w.resolve(fields)
    this.waiting = this.waiting.filter((w) => w.name !== name)
  }
}

async function startConfig(wanted: number): Promise<RunningConfigServer> {
  // The port must be known to be its own peer.
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  const address = `127.0.0.1:${port}`
  const peers = [{ id: 'c1', address }]
  const server = await startConfigServer({
    dataDir: freshDir(),
    id: 'c1',
    listen: address,
    peers,
    wanted,
    logger: new Journal(),
  })
  onCleanup(() => server.stop())
  return server
}

type Extra = Partial<StartVkvReplicaOptions>

async function start(
  config: string,
  extra: Extra = {},
): Promise<{ replica: RunningReplica; journal: Journal; dataDir: string }> {
  const journal = new Journal()
  const dataDir = extra.dataDir ?? freshDir()
  const replica = await startVkvReplica({
    dataDir,
    id: 'r1',
    group: 'main',
    listen: '127.0.0.1:0',
    configServers: [{ id: 'c1', address: config }],
    logger: journal,
    ...extra,
  })
  onCleanup(() => replica.stop())
  return { replica, journal, dataDir }
}

test('startReplica_threeOfThem_formAnEpoch_andARestartedOneKeepsItsStore', async () => {
  const config = await startConfig(3)
  const all = await Promise.all(['r1', 'r2', 'r3'].map((id) => start(config.address, { id })))
  for (const { journal } of all) expect(await journal.seen('activated')).toMatchObject({ epoch: 1 })
  const [first] = all
  await first!.replica.stop()
  expect(await first!.replica.stopped).toEqual({ exitCode: 0, reason: 'stopped' })
  const again = await start(config.address, { id: 'r1', dataDir: first!.dataDir })
  expect(await again.journal.seen('recovered')).toMatchObject({ epoch: 1 })
})

test('startReplica_takenPort_isRefusedAndFreesTheDirectory', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  onCleanup(() => void holder.close())
  const { port } = holder.address() as { port: number }
  const dataDir = freshDir()
  await expect(start('127.0.0.1:1', { dataDir, listen: `127.0.0.1:${port}` })).rejects.toThrow(String(port))
  await start('127.0.0.1:1', { dataDir })
})

test('startReplica_directoryOfAnotherCluster_stopsWithExitCode1NamingBoth', async () => {
  const blue = await startConfig(1)
  const { replica, journal, dataDir } = await start(blue.address)
  await journal.seen('activated')
  await replica.stop()
  const green = await startConfig(1)
  // Its cluster is formed by a replica of its own.
  const other = await start(green.address, { id: 'r2' })
  await other.journal.seen('activated')
  const wrong = await start(green.address, { dataDir })
  const { exitCode, reason } = await wrong.replica.stopped
  expect(exitCode).toBe(1)
  expect(reason).toContain(`data directory ${dataDir} belongs to another cluster`)
})

test('startReplica_writeFails_stopsWithExitCode1AndAcksNothing', async () => {
  const config = await startConfig(1)
  let store: ReplicaStorage | undefined
  const { replica, journal } = await start(config.address, { storage: (opened) => (store = opened) })
  await journal.seen('activated')
  store!.onFailed('replica.lmdb: ENOSPC: no space left on device')
  const { exitCode, reason } = await replica.stopped
  expect(exitCode).toBe(1)
  expect(reason).toMatch(/^replica.lmdb: ENOSPC: no space left on device \(\d+ MiB free on its disk\)$/)
})
