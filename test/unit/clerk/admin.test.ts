// The operator's client: follows the leader, repeats a reconfiguration under one name, says who answered what.
import { AdminClient } from '@coppice/clerk/core'
import type { ClientToConfig, ClientToReplica, ConfigToClient, Message, ReplicaToClient } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { FakeCluster, errorOf } from './support/fake-cluster.js'

function newAdmin(cluster: FakeCluster, timeoutMs = 5_000): AdminClient {
  return new AdminClient(
    { configServers: cluster.configAddresses, group: 'main', timeoutMs },
    {
      clock: cluster.time.clock,
      random: cluster.random,
      configDialer: cluster.network.dialer<ClientToConfig, ConfigToClient>(),
      replicaDialer: cluster.network.dialer<ClientToReplica, ReplicaToClient>(),
    },
  )
}

function serve(cluster: FakeCluster, address: string, answer: (message: Message) => Message | undefined): void {
  cluster.network.servers.set(address, {
    kind: address.startsWith('c') ? 'client-config' : 'client-replica',
    onMessage: (link, message) => {
      cluster.heard.push({ at: address, message })
      const reply = answer(message)
      if (reply !== undefined) link.reply(reply)
    },
  })
}

test('reconfigure_reaches_the_leader_and_keeps_its_name', async () => {
  const cluster = new FakeCluster()
  let answers = 0
  for (const address of cluster.configAddresses) {
    serve(cluster, address, (m) => {
      if (m.kind !== 'admin') return undefined
      const leads = address === 'c3:1'
      // The leader's first answer is lost with its connection.
      if (leads && answers++ === 0) {
        for (const link of [...cluster.network.links]) link.break('connection reset')
        return undefined
      }
      const result = leads ? { requestId: m.adminId, ok: true, message: 'done', epoch: 2 } : null
      return { kind: 'adminAnswer', requestId: m.requestId, leader: 'c3', result }
    })
  }
  const admin = newAdmin(cluster)
  const result = await cluster.time.until(admin.reconfigure(['r2', 'r3', 'r4'], 'change-1'))
  expect(result).toEqual({ requestId: 'change-1', ok: true, message: 'done', epoch: 2 })
  expect(new Set(cluster.heardOf('admin').map((m) => m.adminId))).toEqual(new Set(['change-1']))
  expect(cluster.network.links.size).toBe(0)
  admin.close()
})

test('reconfigure_asked_of_a_leader_that_is_stuck_finds_the_next_one', async () => {
  const cluster = new FakeCluster()
  const asked: string[] = []
  for (const address of cluster.configAddresses) {
    serve(cluster, address, (m) => {
      if (m.kind !== 'admin') return undefined
      asked.push(address)
      // It took the request and says nothing more; its connection stays.
      if (address === 'c1:1') return undefined
      const result = address === 'c3:1' ? { requestId: m.adminId, ok: true, message: 'done', epoch: 2 } : null
      return { kind: 'adminAnswer', requestId: m.requestId, leader: 'c3', result }
    })
  }
  const admin = newAdmin(cluster, 30_000)
  expect(await cluster.time.until(admin.reconfigure(['r2'], 'change'))).toMatchObject({ ok: true })
  expect(asked).toEqual(['c1:1', 'c2:1', 'c3:1'])
  expect(new Set(cluster.heardOf('admin').map((m) => m.adminId))).toEqual(new Set(['change']))
  admin.close()
})

test('reconfigure_without_an_answer_is_unknown', async () => {
  const cluster = new FakeCluster()
  for (const address of cluster.configAddresses) serve(cluster, address, () => undefined)
  const admin = newAdmin(cluster, 1_000)
  const error = await cluster.time.until(errorOf(admin.reconfigure(['r2'], 'x')))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'unknown' })
  admin.close()
})

test('getConfig_answers_from_any_server', async () => {
  const cluster = new FakeCluster()
  cluster.network.kill('c1:1')
  const admin = newAdmin(cluster)
  const configuration = await cluster.time.until(admin.getConfig())
  expect(configuration.members).toEqual(['r1', 'r2', 'r3'])
  admin.close()
})

test('status_and_hash_ask_one_server_and_name_a_silent_one', async () => {
  const cluster = new FakeCluster()
  serve(cluster, 'r1:1', (m) =>
    m.kind === 'hash'
      ? { kind: 'hashAnswer', requestId: m.requestId, nextIndex: 5, commitIndex: 4, hash: 'abc' }
      : undefined,
  )
  const admin = newAdmin(cluster, 500)
  expect(await cluster.time.until(admin.hash('r1:1'))).toEqual({ nextIndex: 5, commitIndex: 4, hash: 'abc' })
  const silent = await cluster.time.until(errorOf(admin.status('r1:1', 'replica')))
  expect(silent).toMatchObject({ code: 'UNAVAILABLE', message: 'no answer: r1:1: connected, no answer' })
  const absent = await cluster.time.until(errorOf(admin.status('r9:1', 'replica')))
  expect(absent.message).toContain('r9:1: connection refused')
  admin.close()
})
