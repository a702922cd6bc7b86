// Aborts and timeouts at each stage of a call's way, for every public call: code, outcome and all that an error must carry. What is seen here is
// the table of docs/errors.md, and the test compares the two.
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { CoppiceError } from '@coppice/protocol'
import { nodeText } from '@coppice/runtime'
import type { Clerk } from '@coppice/clerk/core'
import { Db, type Options } from '@coppice/vkv/core'
import { bytesOf, errorOf, FakeCluster, FakeSignal } from '../clerk/support/fake-cluster.js'

/** Calls whose first step is a write, and such whose first step is a read. */
const WRITES: Readonly<Record<string, (db: Db, options: Options) => Promise<unknown>>> = {
  put: (db, options) => db.kv.put('k', 'v', options),
  'put ifVersion': (db, options) => db.kv.put('k', 'v', { ...options, ifVersion: 1 }),
  'put ttl': (db, options) => db.kv.put('k', 'v', { ...options, ttl: '1s' }),
  'put of 100 KiB': (db, options) => db.kv.bytes.put('k', new Uint8Array(100_000), options),
  delete: (db, options) => db.kv.delete('k', options),
  condPut: (db, options) => db.kv.condPut('k', 'a', 'b', options),
  txn: (db, options) => db.kv.txn().check('k', 1).put('k', 'v').commit(options),
  'typed put': (db, options) => db.kv.typed({ parse: String }, { prefix: 'p/' }).put('k', 'v', options),
  lock: (db, options) => db.lock('l', options),
  session: (db, options) => db.session(options),
  elect: (db, options) => db.elect('l', options),
  revokeSession: (db, options) => db.revokeSession(1, options),
  'cached put': (db, options) => db.cached().put('k', 'v', options),
  'bank open': (db, options) => db.bank().open('a', 1, options),
  'bank transfer': (db, options) => db.bank().transfer('a', 'b', 1, options),
}
const READS: Readonly<Record<string, (db: Db, options: Options) => Promise<unknown>>> = {
  get: (db, options) => db.kv.get('k', options),
  'get stale': (db, options) => db.kv.get('k', { ...options, consistency: 'stale' }),
  'get from primary': (db, options) => db.kv.get('k', { ...options, from: 'primary' }),
  getEntry: (db, options) => db.kv.getEntry('k', options),
  getMany: (db, options) => db.kv.getMany(['k', 'l'], options),
  getEntries: (db, options) => db.kv.getEntries(['k', 'l'], options),
  range: (db, options) => db.kv.range(options)[Symbol.asyncIterator]().next(),
  keys: (db, options) => db.kv.keys(options).pages().next(),
  count: (db, options) => db.kv.count(options),
  update: (db, options) => db.kv.update('k', () => 'v', options),
  locks: (db, options) => db.locks(options).next(),
  sessions: (db, options) => db.sessions(options).next(),
  leader: (db, options) => db.leader('l', options),
  'bank accounts': (db, options) => db.bank().accounts(options),
  'bank recover': (db, options) => db.bank().recover(options),
  'bank audit': (db, options) => db.bank().audit({ timeout: '10s', ...options }),
  'bank balance': (db, options) => db.bank().balance('a', options),
}

interface Stage {
  /** As in the table. */
  readonly name: string
  /** Brings the cluster there. */
  readonly prepare: (cluster: FakeCluster, clerk: Clerk) => Promise<void>
  /** From the call to its abort or timeout. */
  readonly during?: (cluster: FakeCluster) => Promise<void>
  /** From the call to its end, ms. */
  readonly lastsMs?: number
}

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** A session for small operations, and one for large ones, so that neither call waits for a registration. */
async function connected({ time }: FakeCluster, clerk: Clerk): Promise<void> {
  await time.until(clerk.submit(bytesOf('first')))
  await time.until(clerk.submit(new Uint8Array(100_000)))
  await time.until(clerk.read(bytesOf('first')))
}

const STAGES: readonly Stage[] = [
  { name: 'before it begins', prepare: connected },
  {
    name: 'not connected: no server answers',
    prepare: async ({ network, configAddresses }) => configAddresses.forEach((address) => network.silent.add(address)),
  },
  {
    name: 'waits its turn behind `maxInFlight` others',
    prepare: async (cluster, clerk) => {
      await connected(cluster, clerk)
      cluster.stuck = true
      const blockers = [clerk.submit(bytesOf('x')), clerk.submit(new Uint8Array(100_000)), clerk.read(bytesOf('x'))]
      for (const blocker of blockers) blocker.catch(() => undefined)
      await cluster.time.run(5)
    },
    // Before those in front are thought to be lost.
    lastsMs: 150,
  },
  {
    name: 'sent, not answered',
    prepare: async (cluster, clerk) => {
      await connected(cluster, clerk)
      cluster.stuck = true
    },
  },
  {
    name: 'sent, the primary fails, nobody leads yet',
    prepare: async (cluster, clerk) => {
      await connected(cluster, clerk)
      cluster.stuck = true
    },
    during: async (cluster) => {
      await cluster.time.run(5)
      for (const id of cluster.configuration.members) cluster.network.kill(`${id}:1`)
    },
  },
  {
    name: 'sent again to the next primary',
    prepare: async (cluster, clerk) => {
      await connected(cluster, clerk)
      cluster.stuck = true
    },
    during: async (cluster) => {
      await cluster.time.run(5)
      const { members } = cluster.configuration
      for (const id of members) cluster.network.kill(`${id}:1`)
      cluster.elect(['r4'])
    },
  },
  {
    name: 'refused for load until the end',
    prepare: async (cluster, clerk) => {
      await connected(cluster, clerk)
      cluster.refuse = (_, message) =>
        message.kind === 'requests' || message.kind === 'reads' ? 'overloaded' : undefined
    },
  },
]

type Call = (db: Db, options: Options) => Promise<unknown>
type Ending = 'abort' | 'timeout'
const LASTS_MS = 900

async function endAt(stage: Stage, call: Call, ending: Ending): Promise<{ error: CoppiceError; reason: unknown }> {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk({ maxInFlight: 1, timeoutMs: 3_600_000, silenceMs: 200 })
  const db = new Db(clerk, { text: nodeText })
  open.push(() => cluster.time.until(db.close()))
  await stage.prepare(cluster, clerk)
  const signal = new FakeSignal()
  const reason = { why: stage.name }
  const early = stage === STAGES[0]
  if (ending === 'abort' && early) signal.abort(reason)
  const { lastsMs = LASTS_MS } = stage
  const timeout = early ? 0 : lastsMs
  let error: unknown
  const failed = call(db, ending === 'abort' ? { signal } : { timeout }).catch((thrown: unknown) => (error = thrown))
  await stage.during?.(cluster)
  if (ending === 'abort') {
    await cluster.time.run(lastsMs)
    signal.abort(reason)
  }
  await cluster.time.until(failed)
  expect(signal.listeners.size).toBe(0)
  expect(error).toBeInstanceOf(CoppiceError)
  return { error: error as CoppiceError, reason }
}

/** What the table says of it. */
function cell({ code, outcome, retryable }: CoppiceError): string {
  return `\`${code}\` ${outcome}${retryable ? ', retryable' : ''}`
}

const document = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

describe.each(STAGES)('$name', (stage) => {
  const row = document.split('\n').find((line) => line.startsWith(`| ${stage.name}`))
  const cells = row?.split('|').map((text) => text.trim()) ?? []
  const kinds = [
    ['write', 'abort', WRITES, cells[2]],
    ['write', 'timeout', WRITES, cells[3]],
    ['read', 'abort', READS, cells[4]],
    ['read', 'timeout', READS, cells[5]],
  ] as const
  for (const [kind, ending, calls, documented] of kinds) {
    test.each(Object.entries(calls))(`${kind}_%s_${ending}_asTheTableSays`, async (_name, call) => {
      const { error, reason } = await endAt(stage, call, ending)
      expect(cell(error), error.message).toBe(documented)
      if (ending === 'abort') {
        expect(error.name).toBe('AbortError')
        expect(error.cause).toBe(reason)
      }
      const sent = /^(sent|refused)/.test(stage.name)
      expect(error.attempts > 0).toBe(sent)
      expect(error.epoch === undefined).toBe(stage.name.startsWith('not connected'))
      if (error.outcome === 'unknown') {
        expect(error.requestId).toBeGreaterThan(0)
        expect(error.clerkId).toBeGreaterThan(0)
      }
    })
  }
})

/** They share with other calls what they wait for, or wait for news: there is no one request whose fate would be unknown. */
const SHARED: Readonly<Record<string, Call>> = {
  'cached get': (db, options) => db.cached().get('k', options),
  observe: (db, options) => db.observe('l', options).next(),
  watch: (db, options) => db.kv.watch('k', options).next(),
}

describe.each(STAGES.slice(1))('$name', (stage) => {
  test.each(Object.entries(SHARED))('%s_endsAtOnce_andHasChangedNothing', async (_name, call) => {
    const { error, reason } = await endAt(stage, call, 'abort')
    expect(cell(error)).toBe('`ABORTED` not-applied')
    expect(error.cause).toBe(reason)
    expect(cell((await endAt(stage, call, 'timeout')).error)).toBe('`TIMEOUT` not-applied, retryable')
  })
})

test('cachedGet_overBeforeItBegan_sharedWorkMayFailUnheard', async () => {
  const cluster = new FakeCluster()
  const db = new Db(cluster.newClerk(), { text: nodeText })
  const cache = db.cached()
  const signal = new FakeSignal()
  signal.abort('before')
  expect(await errorOf(cache.get('k', { timeout: 0 }))).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  expect(await errorOf(cache.get('k', { signal }))).toMatchObject({ code: 'ABORTED', cause: 'before' })
  // The holder that the first one began to open fails with this, and nobody waits for it.
  await db.close()
  await cluster.time.run(10)
})

test.each(Object.entries(WRITES).filter(([name]) => name !== 'lock'))(
  'resolve_%s_thatWasAppliedMeanwhile_saysSo_andOneThatWasLostDoesNot',
  async (_name, call) => {
    for (const applied of [true, false]) {
      const cluster = new FakeCluster()
      const clerk = cluster.newClerk()
      const db = new Db(clerk, { text: nodeText })
      open.push(() => cluster.time.until(db.close()))
      await connected(cluster, clerk)
      if (applied) cluster.stuck = true
      else cluster.network.fate = (message) => (message.kind === 'requests' ? [] : [1])
      const signal = new FakeSignal()
      let error: unknown
      const failed = call(db, { signal }).catch((thrown: unknown) => (error = thrown))
      await cluster.time.run(20)
      signal.abort('enough')
      await cluster.time.until(failed)
      expect(error).toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
      cluster.network.fate = () => [1]
      cluster.stuck = false
      const resolution = await cluster.time.until(db.resolve(error as CoppiceError))
      expect(resolution.outcome).toBe(applied ? 'applied' : 'not-applied')
    }
  },
)

test('signal_thatIsNone_refused_andNothingIsLeftOpen', async () => {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const db = new Db(clerk, { text: nodeText })
  for (const signal of [null, {}, new AbortController()] as never[]) {
    for (const call of [WRITES['put']!, READS['get']!, WRITES['txn']!]) {
      const error = await call(db, { signal }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
    }
  }
  expect(clerk.counts.open).toBe(0)
  await db.close()
})

test('closed_everyCall_saysSo', async () => {
  const cluster = new FakeCluster()
  const db = new Db(cluster.newClerk(), { text: nodeText })
  await db.close()
  for (const call of [...Object.values(WRITES), ...Object.values(READS)]) {
    const error = await call(db, {}).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  }
})

test('document_codes_areThoseOfTheSource', () => {
  const source = readFileSync(new URL('../../../packages/protocol/src/errors.ts', import.meta.url), 'utf8')
  const codes = [...source.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map((match) => match[1])
  const listed = document.slice(document.indexOf('## Codes')).matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)
  expect(codes.length).toBeGreaterThan(15)
  expect([...new Set([...listed].map((match) => match[1]))].sort()).toEqual([...codes].sort())
})
