// Processes that share a lock and are killed and stopped while they hold it or wait for it, on a cluster that loses its primary and is
// reconfigured meanwhile. All that the lock and the guarded key told in the order of the log is judged: fences only grow, who waits longest is
// next, and no write of a holder whose time is over was done.
import type { ChildProcess } from 'node:child_process'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { killLockClients, LockClient, LockRecord } from './support/lock-clients.js'
import { pause, until } from './support/wait.js'

const CLIENTS = 5
const LOCK = 'shared'
const KEY = 'guarded'
const TTL_MS = 1_000
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 5 })
  db = await cluster.connect()
})
afterAll(async () => {
  killLockClients()
  await cluster?.stop()
})

const newClient = (): LockClient => new LockClient(cluster.addresses, LOCK, KEY, TTL_MS)

test('clientsKilledAndStopped_membersToo_fencesAndQueueAreRight', async () => {
  const record = await LockRecord.begin(db, LOCK, KEY)
  let using = Array.from({ length: CLIENTS }, () => newClient())
  const all = [...using]
  await until('every client to hold it once', () => using.every((client) => client.times('held') > 0))

  // A holder stands still for longer than its lock lasts, and goes on writing.
  for (let i = 0; i < 3; i++) {
    const stopped = using[i]!
    await stopped.holds()
    stopped.signal('SIGSTOP')
    await pause(TTL_MS * 2)
    stopped.signal('SIGCONT')
  }
  // A holder dies; and one that waits.
  for (const victim of using.slice(0, 2)) {
    await victim.holds()
    if (victim === using[1]) await pause(150)
    victim.signal('SIGKILL')
    await victim.ended
  }
  const fresh = [newClient(), newClient()]
  all.push(...fresh)
  using = [...using.slice(2), ...fresh]
  const primary = await cluster.primary()
  await primary.kill()
  await Promise.all(using.map((client) => client.holds()))
  await primary.start()
  const { members } = (await cluster.view()).state
  const others = cluster.replicas.map(({ id }) => id).filter((id) => id !== members[0])
  await until('a reconfiguration', async () => {
    await cluster.admin.reconfigure(others.slice(0, 3), 'while-locked')
    return true
  })
  await Promise.all(using.map((client) => client.holds()))

  await Promise.all(using.map((client) => client.end()))
  const journal = await record.finish(db)
  expect(journal.grants).toBeGreaterThan(20)
  expect(record.writes.length).toBeGreaterThan(100)
  // Those that stood still were refused.
  expect(all.reduce((sum, client) => sum + client.times('fenced'), 0)).toBeGreaterThan(0)
})

test('lockCommand_stoppedPastItsTtl_itsCommandIsEndedAndExitCodeIs4', async () => {
  let holder: ChildProcess | undefined
  const begun: string[] = []
  const command = ['sh', '-c', 'echo $COPPICE_LOCK_TOKEN; sleep 600']
  const ran = runCommand(['lock', 'cli', '--ttl', '1s', '--config', cluster.addresses.join(','), '--', ...command], {
    onStarted: (child) => {
      holder = child
      child.stdout!.on('data', (data) => begun.push(String(data)))
    },
  })
  await until('the command to run', () => begun.length > 0)
  holder!.kill('SIGSTOP')
  const next = await db.lock('cli', { timeout: '30s' })
  holder!.kill('SIGCONT')
  const { code, out } = await ran
  expect(code).toBe(4)
  expect(next.taken).toBe('expired')
  expect(next.token).toBeGreaterThan(Number(out))
  await next.release()
})

test('electCommand_leaderStopped_nextLeads_andItCampaignsAgain', async () => {
  const started: ChildProcess[] = []
  /** Tokens that each one's command got, as they come. */
  const told: string[] = []
  const campaign = (value: string) =>
    runCommand(
      [
        'elect',
        'boss',
        '--ttl',
        '3s',
        '--value',
        value,
        '--config',
        cluster.addresses.join(','),
        '--',
        'sh',
        '-c',
        'echo $COPPICE_LEADER_TOKEN; sleep 600',
      ],
      {
        onStarted: (child) => {
          const number = started.push(child) - 1
          told.push('')
          child.stdout!.on('data', (data) => (told[number] += String(data)))
        },
      },
    )
  const tokensOf = (number: number): number[] => (told[number] ?? '').split('\n').slice(0, -1).map(Number)
  /** Becomes true when that one's command was begun with a token above this. */
  const leadsAbove = (number: number, token: number): Promise<number> =>
    until(`leadership of ${number}`, () => tokensOf(number).findLast((each) => each > token))
  const first = campaign('one')
  const one = await leadsAbove(0, 0)
  const second = campaign('two')
  await until('a candidate', async () => (await waitersOf('boss')) === 1)
  started[0]!.kill('SIGSTOP')
  const two = await leadsAbove(1, one)
  expect(await db.leader('boss')).toMatchObject({ value: 'two' })
  started[0]!.kill('SIGCONT')
  // It has ended its command and stands in the queue again.
  await until('the campaign to begin again', async () => (await waitersOf('boss')) === 1)
  started[1]!.kill('SIGTERM')
  await leadsAbove(0, two)
  expect(await db.leader('boss')).toMatchObject({ value: 'one' })
  started[0]!.kill('SIGTERM')
  await Promise.all([first, second])
  await until('nobody to lead', async () => (await db.leader('boss')) === undefined)
})

async function waitersOf(name: string): Promise<number> {
  for await (const lock of db.locks({ prefix: name })) if (lock.name === name) return lock.waiters
  return 0
}
