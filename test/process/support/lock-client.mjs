// A client of one lock as a process of its own: node lock-client.mjs ADDRESSES LOCK KEY TTL
// Takes the lock again and again and writes its token under it; says on stdout, a line each: "held TOKEN", "fenced TOKEN". Ends when its
// stdin does. Runs the built packages.
import { connect } from '@coppice/vkv'

const [addresses, name, key, ttl] = process.argv.slice(2)
const db = await connect(`coppice://${addresses}`, { timeout: '60s' })
let ending = false
process.stdin.resume()
process.stdin.once('end', () => (ending = true))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

while (!ending) {
  try {
    const lock = await db.lock(name, { ttl: Number(ttl), timeout: '60s' })
    console.log(`held ${lock.token}`)
    for (let i = 0; i < 5; i++) {
      await sleep(20)
      try {
        await lock.kv.put(key, String(lock.token))
      } catch (error) {
        if (error.code !== 'FENCED') throw error
        console.log(`fenced ${lock.token}`)
        break
      }
    }
    // Now and then it is given up as if it had expired.
    if (Math.random() < 0.9) await lock.release({ timeout: '5s' })
    else await lock.abandon({ timeout: '5s' })
  } catch (error) {
    console.log(`error ${error.code ?? error.message}`)
    await sleep(100)
  }
}
await db.close()
