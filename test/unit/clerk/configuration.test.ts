// How a clerk finds its cluster: rotation over config servers, new servers and addresses, refusals by name.
import { expect, test } from 'vitest'
import { FakeCluster, bytesOf, errorOf } from './support/fake-cluster.js'

test('ready_with_one_living_config_server_of_three', async () => {
  const cluster = new FakeCluster()
  cluster.network.servers.delete('c1:1')
  cluster.network.silent.add('c2:1')
  for (let i = 0; i < 6; i++) {
    const clerk = cluster.newClerk()
    await cluster.time.until(clerk.ready(), 1_500)
    await clerk.close()
  }
})

test('newer_config_servers_and_addresses_are_followed', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('a')))
  const { configServers, servers, version } = cluster.configuration
  // r1 moves to another address, and the config servers to others.
  cluster.configuration = {
    ...cluster.configuration,
    version: version + 1,
    configServers: configServers.map((s) => ({ ...s, address: `new-${s.address}` })),
    servers: servers.map((s) => (s.id === 'r1' ? { ...s, address: 'r1:2' } : s)),
  }
  const primary = cluster.network.servers.get('r1:1')!
  cluster.network.kill('r1:1')
  cluster.network.servers.set('r1:2', primary)
  await cluster.time.until(clerk.submit(bytesOf('b')))
  expect(cluster.network.dials).toContain('r1:2')
  for (const address of cluster.configAddresses) {
    cluster.network.kill(address)
    cluster.startConfig(`new-${address}`)
  }
  cluster.elect(['r2', 'r3'])
  await cluster.time.until(clerk.submit(bytesOf('c')))
  await cluster.time.run(1_000)
  expect(clerk.configuration?.epoch).toBe(2)
  await clerk.close()
})

test('all_config_servers_replaced_unnoticed_are_found_through_a_replica', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('a')))
  await cluster.time.run(1_000)
  const { configServers, version } = cluster.configuration
  // Nothing made the clerk ask while this happened; the replicas heard of it.
  cluster.configuration = {
    ...cluster.configuration,
    version: version + 1,
    configServers: configServers.map((s) => ({ ...s, id: `new-${s.id}`, address: `new-${s.address}` })),
  }
  for (const address of cluster.configAddresses) {
    cluster.network.kill(address)
    cluster.startConfig(`new-${address}`)
  }
  cluster.killPrimary()
  await cluster.time.run(3_000)
  cluster.elect(['r2', 'r3'])
  await cluster.time.until(clerk.submit(bytesOf('b')), 5_000)
  expect(cluster.heardOf('getConfig', 'r2').length).toBeGreaterThan(0)
  expect(clerk.configuration?.configServers[0]?.address).toBe('new-c1:1')
  await clerk.close()
})

test('members_are_dialled_before_they_are_needed', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.ready())
  await cluster.time.run(10)
  expect(cluster.network.dials.filter((a) => a.startsWith('r')).sort()).toEqual(['r1:1', 'r2:1', 'r3:1'])
  await clerk.close()
})

test.each([
  ['PROTOCOL_VERSION', 'PROTOCOL_VERSION'],
  ['WRONG_CLUSTER', 'WRONG_CLUSTER'],
])('refusal_%s_of_all_config_servers_fails_calls_at_once_by_name', async (refusal, code) => {
  const cluster = new FakeCluster()
  for (const address of cluster.configAddresses) cluster.network.refusals.set(address, refusal)
  const clerk = cluster.newClerk()
  const began = cluster.time.now
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'))))
  expect(error).toMatchObject({ code, outcome: 'not-applied', retryable: false })
  expect(error.message).toContain('c2:1')
  expect(cluster.time.now - began).toBeLessThan(1_000)
  await clerk.close()
})

test('unknown_group_is_named_when_the_call_times_out', async () => {
  const cluster = new FakeCluster()
  for (const address of cluster.configAddresses) {
    cluster.network.servers.set(address, {
      kind: 'client-config',
      onMessage: (link, message) => {
        if (message.kind !== 'getConfig') return
        link.reply({ kind: 'config', requestId: message.requestId, leader: '', configuration: null })
      },
    })
  }
  const clerk = cluster.newClerk({ group: 'other' })
  const error = await cluster.time.until(errorOf(clerk.submit(bytesOf('a'), { timeoutMs: 500 })))
  expect(error.message).toContain('knows no group other yet')
  expect(cluster.heard.length).toBe(0)
  await clerk.close()
})

test('config_service_is_not_asked_while_all_is_well', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  await cluster.time.until(clerk.submit(bytesOf('a')))
  cluster.heard.length = 0
  for (let i = 0; i < 20; i++) {
    await cluster.time.until(clerk.submit(bytesOf('x')))
    await cluster.time.run(200)
  }
  expect(cluster.heardOf('getConfig').length).toBe(0)
  await clerk.close()
})
