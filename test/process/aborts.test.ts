// Aborts and timeouts against real servers that hang, die and come back: every call ends when it is told to, says what is known, and `resolve`
// says the rest. And a hundred thousand aborted calls leave nothing behind.
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clerk } from '@coppice/clerk'
import { connect, CoppiceError, type Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { pause, until } from './support/wait.js'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
})
afterAll(() => cluster?.stop())

async function failureOf(promise: Promise<unknown>): Promise<CoppiceError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof CoppiceError) return error
    throw error
  }
  throw new Error('it did not fail')
}

test('connect_configServersHang_abortedOrTimedOut', async () => {
  for (const server of cluster.configServers) server.signal('SIGSTOP')
  try {
    const controller = new AbortController()
    const aborted = failureOf(connect(cluster.addresses, { timeout: '30s', signal: controller.signal }))
    const late = failureOf(connect(cluster.addresses, { timeout: '700ms' }))
    await pause(100)
    controller.abort(new Error('enough'))
    const error = await aborted
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED', outcome: 'not-applied', attempts: 0 })
    expect(error.cause).toBe(controller.signal.reason)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(await late).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true })
  } finally {
    for (const server of cluster.configServers) server.signal('SIGCONT')
  }
})

/** Forty writes, half of them aborted, half timed out, while the primary hangs. What they were is asked afterwards, and looked at. */
async function writesInTrouble(db: Db, label: string, heal: () => Promise<void>): Promise<void> {
  await db.kv.put(`${label}/first`, 'x')
  const primary = await cluster.primary()
  primary.signal('SIGSTOP')
  const controller = new AbortController()
  const failures = Array.from({ length: 40 }, (_, i) => {
    const options = i % 2 === 0 ? { signal: controller.signal } : { timeout: 150 }
    const key = `${label}/${i}`
    const call = i % 4 < 2 ? db.kv.put(key, 'v', options) : db.kv.txn().check(key, 0).put(key, 'v').commit(options)
    return failureOf(call)
  })
  // Reads of the member that hangs are ended too.
  const read = failureOf(db.kv.get(`${label}/first`, { from: 'primary', signal: controller.signal }))
  await pause(100)
  controller.abort('enough')
  const errors = await Promise.all(failures)
  expect(await read).toMatchObject({ code: 'ABORTED', outcome: 'not-applied', cause: 'enough' })
  errors.forEach((error, i) => {
    const code = i % 2 === 0 ? 'ABORTED' : 'TIMEOUT'
    expect(error).toMatchObject({ code, outcome: 'unknown', retryable: false, attempts: 1 })
    expect(error.requestId).toBeGreaterThan(0)
    expect(error.epoch).toBeGreaterThan(0)
  })
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  await heal()
  const outcomes = await Promise.all(errors.map(async (error) => (await db.resolve(error, { timeout: '60s' })).outcome))
  const values = await db.kv.getMany(
    errors.map((_, i) => `${label}/${i}`),
    { timeout: '60s' },
  )
  expect(outcomes).toEqual(values.map((value) => (value === 'v' ? 'applied' : 'not-applied')))
  process.stdout.write(`  ${label}: ${outcomes.filter((outcome) => outcome === 'applied').length} of 40 were applied\n`)
}

test('writes_primaryHangsForAWhile_resolveSaysWhatTheyWere', async () => {
  await cluster.whole()
  const primary = await cluster.primary()
  const db = await connect(cluster.addresses)
  await writesInTrouble(db, 'hung', async () => primary.signal('SIGCONT'))
  await db.close()
})

test('writes_primaryDies_resolveSaysWhatTheyWereAfterTheFailover', async () => {
  await cluster.whole()
  const primary = await cluster.primary()
  const db = await connect(cluster.addresses)
  await writesInTrouble(db, 'dead', () => primary.kill())
  await db.close()
  await primary.start()
})

const CALLS = 100_000
const AT_ONCE = 1_000
/** What a heap of this size is off by from one look to the next. */
const HEAP_NOISE_BYTES = 6 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heapBytes(): number {
  for (let i = 0; i < 4; i++) collect()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

/** Numbers of each kind of handle and timer that keeps or may wake the process. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

test('aborted_hundredThousandCalls_leaveNoHandleAndNoMemory', async () => {
  await cluster.whole()
  const db = await cluster.connect()
  const clerk = db.clerk as Clerk
  const makers: readonly ((i: number, signal: AbortSignal) => Promise<unknown>)[] = [
    (i, signal) => db.kv.put(`aborted/${i % 100}`, 'v', { signal }),
    (i, signal) => db.kv.get(`aborted/${i % 100}`, { signal }),
    (i, signal) =>
      db.kv
        .txn()
        .check(`aborted/${i % 100}`, 0)
        .put('aborted/other', 'v')
        .commit({ signal }),
    (i, signal) => db.kv.update(`aborted/${i % 100}`, (value) => `${value}`.slice(0, 8), { signal, timeout: '5s' }),
    (i, signal) =>
      db.kv
        .range({ prefix: `aborted/${i % 100}`, limit: 3, signal })
        .pages()
        .next(),
  ]
  const outcomes: Record<string, number> = {}
  let aborted = 0
  const round = async (calls: number): Promise<void> => {
    for (const goal = aborted + calls; aborted < goal;) {
      const controllers = Array.from({ length: AT_ONCE }, () => new AbortController())
      const settled = controllers.map((controller, i) =>
        makers[i % makers.length]!(i, controller.signal).then(
          () => 'done',
          (error: CoppiceError) => `${error.code} ${error.outcome}`,
        ),
      )
      // A third before anything is sent, a third when it has just been sent, the rest a little later.
      controllers.forEach((controller, i) => i % 3 === 0 && controller.abort())
      await new Promise((resolve) => setImmediate(resolve))
      controllers.forEach((controller, i) => i % 3 === 1 && controller.abort())
      await new Promise((resolve) => setImmediate(resolve))
      for (const controller of controllers) controller.abort()
      for (const outcome of await Promise.all(settled)) {
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
        if (outcome.startsWith('ABORTED')) aborted++
      }
      for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    }
    // What was sent is skipped in the background.
    await until('end of all skips', () => {
      const { open, signals, queued, incomplete, reads } = clerk.counts
      return open + signals + queued + incomplete + reads === 0
    })
  }
  await round(10_000)
  // A member that has just come back is connected to.
  let calm = ''
  await until('a calm client', async () => {
    const seen = calm
    calm = JSON.stringify(resources())
    await pause(500)
    return seen === calm
  })
  const before = { resources: resources(), heap: heapBytes() }
  await round(CALLS)
  // A request that is skipped may end a beat later than its caller was told.
  await until('the handles of before', () => JSON.stringify(resources()) === JSON.stringify(before.resources))
  const after = { heap: heapBytes() }
  process.stdout.write(`  ${JSON.stringify(outcomes)}, heap ${before.heap} → ${after.heap} bytes\n`)
  expect(after.heap - before.heap).toBeLessThan(HEAP_NOISE_BYTES)
  expect(clerk.counts.fates).toBeLessThanOrEqual(1_024)
  await db.kv.put('aborted/last', 'works')
}, 300_000)
