// The operator's client: follows the leader, repeats a reconfiguration under one name, says who answered what.
import { AdminClient, type AdminCallOptions } from '@coppice/clerk/core'
import type { ClientToConfig, ClientToReplica, ConfigToClient, Message, ReplicaToClient } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { errorOf, FakeCluster, FakeSignal } from './support/fake-cluster.js'

function newAdmin(cluster: FakeCluster, timeoutMs = 5_000, hold?: (busy: boolean) => void): AdminClient {
  return new AdminClient(
    { configServers: cluster.configAddresses, group: 'main', timeoutMs },
    {
      clock: cluster.time.clock,
      random: cluster.random,
      configDialer: cluster.network.dialer<ClientToConfig, ConfigToClient>(),
      replicaDialer: cluster.network.dialer<ClientToReplica, ReplicaToClient>(),
      hold,
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
  expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
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
      ? { kind: 'hashAnswer', requestId: m.requestId, index: m.index, state: 'done', hash: 'abc' }
      : undefined,
  )
  const admin = newAdmin(cluster, 500)
  expect(await cluster.time.until(admin.hash('r1:1', 5))).toEqual({ index: 5, state: 'done', hash: 'abc' })
  const silent = await cluster.time.until(errorOf(admin.status('r1:1', 'replica')))
  expect(silent).toMatchObject({ code: 'TIMEOUT', message: 'no answer: r1:1: connected, no answer' })
  const absent = await cluster.time.until(errorOf(admin.status('r9:1', 'replica')))
  expect(absent.code).toBe('UNAVAILABLE')
  expect(absent.message).toContain('r9:1: connection refused')
  admin.close()
})

type Ask = (admin: AdminClient, options: AdminCallOptions) => Promise<unknown>
const QUESTIONS: readonly (readonly [string, Ask])[] = [
  ['getConfig', (admin, options) => admin.getConfig(options)],
  ['getGroup', (admin, options) => admin.getGroup(options)],
  ['status', (admin, options) => admin.status('r1:1', 'replica', options)],
  ['hash', (admin, options) => admin.hash('r1:1', 0, options)],
]
const CHANGES: readonly (readonly [string, Ask])[] = [
  ['reconfigure', (admin, options) => admin.reconfigure(['r2'], 'x', options)],
  ['handover', (admin, options) => admin.handover('r2', 'x', options)],
  ['setAffinity', (admin, options) => admin.setAffinity('auto', 'x', options)],
  ['changeConfigServers', (admin, options) => admin.changeConfigServers({ add: null, remove: 'c1' }, 'x', options)],
]
const CALLS = [
  ...QUESTIONS.map(([name, ask]) => [name, 'not-applied', ask] as const),
  ...CHANGES.map(([name, ask]) => [name, 'unknown', ask] as const),
]

/** Everybody can be reached and says nothing. */
function muteCluster(): FakeCluster {
  const cluster = new FakeCluster()
  for (const address of [...cluster.configAddresses, 'r1:1']) serve(cluster, address, () => undefined)
  return cluster
}

function expectNothingLeft(cluster: FakeCluster, signal: FakeSignal): void {
  expect(cluster.network.links.size).toBe(0)
  expect(cluster.time.pending).toBe(0)
  expect(signal.listeners.size).toBe(0)
}

test.each(CALLS)('%s_aborted_after_it_was_sent_ends_at_once_and_is_%s', async (_, outcome, ask) => {
  const cluster = muteCluster()
  const signal = new FakeSignal()
  const failed = errorOf(ask(newAdmin(cluster), { signal }))
  await cluster.time.run(100)
  const reason = new Error('enough')
  signal.abort(reason)
  const error = await failed
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED', outcome, retryable: false, attempts: 1 })
  expect(error.cause).toBe(reason)
  // What is on its way between two turns is not a link's.
  await cluster.time.run(10)
  expectNothingLeft(cluster, signal)
})

test.each(CALLS)('%s_out_of_time_after_it_was_sent_is_%s', async (_, outcome, ask) => {
  const cluster = muteCluster()
  const signal = new FakeSignal()
  const begunAt = cluster.time.now
  const error = await cluster.time.until(errorOf(ask(newAdmin(cluster), { signal, timeout: '700ms' })))
  expect(error).toMatchObject({ code: 'TIMEOUT', outcome, retryable: outcome === 'not-applied', attempts: 1 })
  expect(cluster.time.now - begunAt).toBe(700)
  await cluster.time.run(10)
  expectNothingLeft(cluster, signal)
})

test.each(CALLS)('%s_that_reaches_nobody_was_not_sent', async (_name, _outcome, ask) => {
  const cluster = muteCluster()
  for (const address of [...cluster.configAddresses, 'r1:1']) cluster.network.silent.add(address)
  const signal = new FakeSignal()
  const late = await cluster.time.until(errorOf(ask(newAdmin(cluster), { timeout: 50 })))
  expect(late).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true, attempts: 0 })
  const failed = errorOf(ask(newAdmin(cluster), { signal }))
  await cluster.time.run(20)
  signal.abort('enough')
  expect(await failed).toMatchObject({ code: 'ABORTED', outcome: 'not-applied', attempts: 0, cause: 'enough' })
  await cluster.time.run(10)
  expectNothingLeft(cluster, signal)
})

test.each(CALLS)('%s_over_before_it_began_asks_nobody', async (_name, _outcome, ask) => {
  const cluster = muteCluster()
  const admin = newAdmin(cluster)
  const signal = new FakeSignal()
  signal.abort('before')
  const details = { outcome: 'not-applied', attempts: 0 }
  expect(await errorOf(ask(admin, { signal }))).toMatchObject({ ...details, name: 'AbortError', cause: 'before' })
  expect(await errorOf(ask(admin, { timeout: 0 }))).toMatchObject({ ...details, code: 'TIMEOUT', retryable: true })
  const words = `timeout: "soon" is no duration (use milliseconds, or '10s', '5m')`
  const wrong = await errorOf(ask(admin, { timeout: 'soon' }))
  expect(wrong).toMatchObject({ ...details, code: 'INVALID_ARGUMENT', message: words })
  expect(await errorOf(ask(admin, { signal: {} as never }))).toMatchObject({ ...details, code: 'INVALID_ARGUMENT' })
  admin.close()
  expect(await errorOf(ask(admin, {}))).toMatchObject({ ...details, code: 'CLOSED' })
  expect(cluster.network.dials).toEqual([])
  expectNothingLeft(cluster, signal)
})

test.each(CALLS)('%s_ends_with_its_client_and_is_%s', async (_, outcome, ask) => {
  const cluster = muteCluster()
  const admin = newAdmin(cluster)
  const failed = errorOf(ask(admin, {}))
  await cluster.time.run(100)
  admin.close()
  expect(await failed).toMatchObject({ code: 'CLOSED', outcome, retryable: false })
  await cluster.time.run(10)
  expectNothingLeft(cluster, new FakeSignal())
})

test('abort_ends_a_pause_between_two_questions', async () => {
  const cluster = new FakeCluster()
  const knowsNothing = (m: Message): Message | undefined =>
    m.kind === 'getConfig' ? { kind: 'config', requestId: m.requestId, leader: '', configuration: null } : undefined
  for (const address of cluster.configAddresses) serve(cluster, address, knowsNothing)
  const signal = new FakeSignal()
  const failed = errorOf(newAdmin(cluster).getConfig({ signal }))
  while (cluster.network.dials.length < 3 || cluster.network.links.size > 0) await cluster.time.run(1)
  signal.abort('enough')
  expect(await failed).toMatchObject({ code: 'ABORTED', cause: 'enough' })
  expectNothingLeft(cluster, signal)
})

test('abort_or_close_after_the_first_question_begins_no_pause', async () => {
  for (const ends of ['ABORTED', 'CLOSED']) {
    const cluster = muteCluster()
    const signal = new FakeSignal()
    const admin = newAdmin(cluster, 30_000)
    const failed = errorOf(admin.getConfig({ signal }))
    // The fourth: what comes between two questions has become long.
    while (cluster.network.dials.length < 4 || cluster.network.links.size === 0) await cluster.time.run(1)
    await cluster.time.run(100)
    if (ends === 'ABORTED') signal.abort('enough')
    else admin.close()
    const endedAt = cluster.time.now
    expect(await cluster.time.until(failed)).toMatchObject({ code: ends, outcome: 'not-applied' })
    expect(cluster.time.now).toBe(endedAt)
    await cluster.time.run(10)
    expectNothingLeft(cluster, signal)
  }
})

test('out_of_time_holds_also_when_its_timer_is_early', async () => {
  const cluster = new FakeCluster()
  serve(cluster, 'c1:1', () => undefined)
  // Timers of Node may be early by less than a millisecond.
  const { clock } = cluster.time
  const admin = new AdminClient(
    { configServers: ['c1:1'], group: 'main' },
    {
      clock: { ...clock, after: (ms, run) => clock.after(Math.max(0, ms - 0.5), run) },
      random: cluster.random,
      configDialer: cluster.network.dialer<ClientToConfig, ConfigToClient>(),
      replicaDialer: cluster.network.dialer<ClientToReplica, ReplicaToClient>(),
    },
  )
  const late = await cluster.time.until(errorOf(admin.getConfig({ timeout: '700ms' })))
  expect(late).toMatchObject({ code: 'TIMEOUT', attempts: 1 })
  expect(cluster.network.dials.length).toBe(1)
})

test('hold_is_told_of_the_first_and_the_last_open_call', async () => {
  const cluster = muteCluster()
  const told: boolean[] = []
  const admin = newAdmin(cluster, 5_000, (busy) => told.push(busy))
  const both = [errorOf(admin.hash('r1:1', 0, { timeout: 50 })), errorOf(admin.hash('r1:1', 0, { timeout: 100 }))]
  await cluster.time.run(60)
  expect(told).toEqual([true])
  await cluster.time.until(Promise.all(both))
  expect(told).toEqual([true, false])
})

test('mistakes_areNamed_andNothingIsSent', async () => {
  const cluster = muteCluster()
  const admin = newAdmin(cluster)
  const misspelt = await errorOf(admin.getGroup({ timeOut: 1 } as never))
  expect(misspelt).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'there is no option "timeOut"; there are signal, timeout',
  })
  for (const options of [5_000, 'soon', [], { timeout: null }, { timeout: {} }, { signal: null }] as never[]) {
    expect(await errorOf(admin.status('r1:1', 'replica', options))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  for (const adminId of [undefined, '', { timeout: 1 }, 'x'.repeat(65)] as never[]) {
    const unnamed = await errorOf(admin.reconfigure(['r1'], adminId))
    expect(unnamed).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
    expect(unnamed.message).toContain('adminId')
  }
  expect(cluster.network.dials).toEqual([])
})
