// One holder of a lock that protects a counter: node worker.mjs SYSTEM SERVERS TTL. On each "go" on its stdin it takes the lock, reads the
// counter, makes sure that it still has the lock as far as its client tells, computes for a while, and writes one more. Says on stdout what it
// came to, a line of JSON each. All three systems do the same, each with its own store.
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [system, servers, ttlText] = process.argv.slice(2)
const ttl = Number(ttlText)
const COUNTER = 'counter'
const LOCK = 'lock/counter'
/** Between the last look at the lock and the write: the moment in which a holder may be stopped. */
const COMPUTE_MS = 200

/** Between two attempts where a client does not wait by itself. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 50))
const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`)
const systems = { redlock, etcd3, coppice }
const { under, close } = await systems[system]()
say({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'go') break
  let ended = false
  const end = (how) => {
    if (!ended) say(how)
    ended = true
  }
  try {
    await under(async ({ read, isLost, write }) => {
      const before = Number((await read()) ?? '0')
      if (isLost()) return end({ ended: 'saw that the lock was lost' })
      say({ computing: before })
      const until = performance.now() + COMPUTE_MS
      while (performance.now() < until);
      await write(String(before + 1))
      end({ ended: 'wrote', value: before + 1 })
    })
  } catch (error) {
    // What fails after the write, such as the release of a lock that was lost, changes nothing about it.
    end({ ended: 'refused', code: error.code ?? error.name })
  }
}
await close()

/** Redlock over its Redis servers, the counter in the first of them. */
async function redlock() {
  const { default: Redis } = await import('ioredis')
  const { default: Redlock } = await import('redlock')
  const clients = servers.split(',').map((port) => new Redis(Number(port), '127.0.0.1'))
  // Without retries of its own: it would retry the release of a lost lock for as long.
  const locks = new Redlock(clients, { retryCount: 0 })
  locks.on('error', () => undefined)
  return {
    async under(work) {
      for (let entered = false; ; await pause()) {
        try {
          return await locks.using([LOCK], ttl, { automaticExtensionThreshold: ttl / 2 }, (signal) => {
            entered = true
            return work({
              read: () => clients[0].get(COUNTER),
              isLost: () => signal.aborted,
              write: (value) => clients[0].set(COUNTER, value),
            })
          })
        } catch (error) {
          if (entered || error.name !== 'ExecutionError') throw error
        }
      }
    },
    close: async () => {
      for (const client of clients) client.disconnect()
    },
  }
}

/** The lock of etcd3, kept by its lease, the counter in etcd. */
async function etcd3() {
  const { Etcd3 } = await import('etcd3')
  const client = new Etcd3({ hosts: servers.split(',') })
  return {
    async under(work) {
      const lock = client.lock(LOCK).ttl(Math.ceil(ttl / 1_000))
      let lost = false
      for (;;) {
        try {
          await lock.acquire()
          break
        } catch (error) {
          if (error.constructor.name !== 'EtcdLockFailedError') throw error
          await pause()
        }
      }
      lock.on?.('lost', () => (lost = true))
      try {
        await work({
          read: () => client.get(COUNTER).string(),
          isLost: () => lost,
          write: (value) => client.put(COUNTER).value(value),
        })
      } finally {
        await lock.release().catch(() => undefined)
      }
    },
    close: () => client.close(),
  }
}

/** A lock of Coppice, the counter in Coppice, written through the lock. */
async function coppice() {
  const { connect } = await import('@coppice/vkv')
  const db = await connect(servers)
  return {
    under: (work) =>
      db.withLock(LOCK, { ttl, timeout: '60s' }, (lock) =>
        work({
          read: () => db.kv.get(COUNTER),
          isLost: () => lock.signal.aborted,
          write: (value) => lock.kv.put(COUNTER, value),
        }),
      ),
    close: () => db.close(),
  }
}
