// Two clients transfer money; one of them is killed with kill -9 at each of the seven crash points. The total stays, no balance is
// negative, and in the end every lock is free.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Db } from '@coppice/vkv'
import { CRASH_POINTS } from '@coppice/vkv/internal'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { until, within } from './support/wait.js'

const CLIENT = fileURLToPath(new URL('./support/bank-client.mjs', import.meta.url))
const LOCK_TTL = '1s'
const START = 100
const ACCOUNTS = ['a', 'b', 'c', 'd']
const TOTAL = START * ACCOUNTS.length
let cluster: Cluster
let db: Db

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 3 })
  db = await cluster.connect()
  const bank = db.bank()
  for (const account of ACCOUNTS) await bank.open(account, START)
})
afterAll(() => cluster?.stop())

test('crashPoints_areSeven', () => {
  expect(CRASH_POINTS).toHaveLength(7)
})

test.each(CRASH_POINTS)('clientsKilled_%s_moneyAndLocksAreRight', async (point) => {
  // The other client goes on with the same accounts, against the direction of the dying ones, while two of them die.
  const bank = db.bank({ lockTtl: LOCK_TTL })
  let done = false
  let transfers = 0
  const other = (async () => {
    for (let i = 0; !done; i++) {
      const source = ACCOUNTS[i % ACCOUNTS.length]!
      const target = ACCOUNTS[(i + 1 + (i % 3)) % ACCOUNTS.length]!
      const { ok } = await bank.transfer(source, target, 1 + (i % 60))
      if (ok) transfers++
    }
  })()
  const endings = await Promise.all([runClient('b', 'a', point), runClient('d', 'c', point)])
  expect(endings).toEqual(['SIGKILL', 'SIGKILL'])
  const during = await bank.audit()
  done = true
  await other
  const after = await bank.audit()
  expect([during.total, after.total]).toEqual([TOTAL, TOTAL])
  expect(transfers).toBeGreaterThan(0)
  for (const account of ACCOUNTS) expect(await bank.balance(account), account).toBeGreaterThanOrEqual(0)
  // Nobody is left who could release: what is still listed must be free once its waiters have gone.
  await until('locks all free', async () => {
    for await (const lock of db.locks({ prefix: 'bank/' })) if (lock.token !== 0) return false
    return true
  })
})

/** The signal that ended it. */
function runClient(source: string, target: string, point: string): Promise<NodeJS.Signals | number | null> {
  const args = [CLIENT, cluster.addresses.join(','), source, target, '1', LOCK_TTL, point]
  const ended = new Promise<NodeJS.Signals | number | null>((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(signal ?? code))
  })
  return within(`end of a client ${point}`, ended)
}
