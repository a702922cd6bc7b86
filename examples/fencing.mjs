// A lock that cannot be written past: a process takes it, is stopped (SIGSTOP: as a long garbage collection, or a sleeping laptop), and goes
// on long after the lock has become another's. Without fencing it would now overwrite what the other one wrote; the store refuses it.
//
//   coppice dev
//   node examples/fencing.mjs      (not on Windows, which has no SIGSTOP)
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const LOCK = 'orders/42'

if (process.argv[2] === 'sleeper') await sleeper()
else await main()

async function main() {
  const child = fork(import.meta.filename, ['sleeper'])
  const [{ token }] = await once(child, 'message')
  child.kill('SIGSTOP')
  console.log('the sleeper has the lock and is stopped')

  const db = await connect(url)
  // Waits until the sleeper's ttl has passed: nobody heard from it.
  await db.withLock(LOCK, { ttl: '10s', timeout: '60s' }, async (lock) => {
    await lock.kv.put('orders/42/state', 'shipped')
    console.log(
      `the next holder's token is larger: ${lock.token > token}; the former one did not release: ${lock.taken}`,
    )
    child.kill('SIGCONT')
    const [{ refused }] = await once(child, 'message')
    console.log(`the sleeper goes on and writes: ${refused}`)
  })
  console.log('the order is', await db.kv.get('orders/42/state'))
  await db.close()
  child.disconnect()
  await once(child, 'exit')
}

async function sleeper() {
  const db = await connect(url)
  const lock = await db.lock(LOCK, { ttl: '1s', timeout: '60s' })
  await lock.kv.put('orders/42/state', 'packed')
  const disconnected = once(process, 'disconnect')
  process.send({ token: lock.token })
  // Aborted here as soon as this process runs again, or a little later: a check alone would not be safe, the store's refusal is.
  if (!lock.signal.aborted) await once(lock.signal, 'abort')
  const refused = await lock.kv.put('orders/42/state', 'lost').then(
    () => 'ACCEPTED',
    (error) => `refused as ${error.code}`,
  )
  process.send({ refused })
  await disconnected
  await db.close()
}
