#!/usr/bin/env node
// Locks with tokens: a few workers take turns at one lock and write through it. One of them falls asleep while it holds the lock; the
// store refuses its late write, because the token it carries is old.
//
//   node scripts/lock.mjs --config 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103 [--workers 3] [--turns 3]
import { parseArgs } from 'node:util'
import { connect } from '@coppice/vkv'

const { values: flags } = parseArgs({
  options: {
    config: { type: 'string', default: process.env.COPPICE_CONFIG ?? '127.0.0.1:7101' },
    workers: { type: 'string', default: '3' },
    turns: { type: 'string', default: '3' },
  },
})
const url = `coppice://${flags.config}`
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

await Promise.all(Array.from({ length: Number(flags.workers) }, (_, i) => worker(`worker ${i + 1}`)))
await sleeper()

/** Takes the lock a few times and writes its name under it. */
async function worker(name) {
  const db = await connect(url)
  for (let turn = 1; turn <= Number(flags.turns); turn++) {
    await db.withLock('demo/lock', { ttl: '3s', timeout: '60s' }, async (lock) => {
      await lock.kv.put('demo/last', name)
      console.log(`${name}: turn ${turn} with token ${lock.token}`)
      await sleep(100)
    })
  }
  await db.close()
}

/** Holds the lock while its whole process stands still, so that not even its renewals run. */
async function sleeper() {
  const [asleep, awake] = [await connect(url), await connect(url)]
  const stale = await asleep.lock('demo/lock', { ttl: '1s' })
  console.log(`sleeper: has token ${stale.token} and falls asleep`)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000)
  const next = await awake.lock('demo/lock', { ttl: '3s', timeout: '60s' })
  await next.kv.put('demo/last', 'the next holder')
  console.log(`next holder: has token ${next.token} (the lock had ${next.taken})`)
  const answer = await stale.kv.put('demo/last', 'the sleeper').catch((error) => `${error.code}: ${error.message}`)
  console.log(`sleeper: wakes and writes with its old token: ${typeof answer === 'string' ? answer : 'ACCEPTED'}`)
  console.log(`demo/last is ${JSON.stringify(await awake.kv.get('demo/last'))}`)
  await next.release()
  await asleep.close()
  await awake.close()
  process.exitCode = typeof answer === 'string' ? 0 : 1
}
