// A client of the cache as a process of its own: node cache-client.mjs ADDRESSES NAME LEASE|naive
// Reads keys through its cache and writes them, through it and past it; the keys change every ten seconds, for all clients alike. On stdout,
// a line each, what it invoked and heard with the machine's monotonic time in µs, before `t` for an invocation and after it for an answer:
// {"t":…,"process":"NAME.0.0","type":"invoke","f":"read","key":"c/…"}. `naive`: it keeps what it read for a second and asks nobody. Ends when
// its stdin does, and says how many reads its cache answered.
import { connect } from '@coppice/vkv'

const SLOT_US = 10_000_000
const KEYS = 2
const NAIVE_MS = 1_000

const [addresses, name, lease] = process.argv.slice(2)
const db = await connect(`coppice://${addresses}`, { timeout: '60s' })
const cache = lease === 'naive' ? naiveCache(db) : db.cached({ lease: Number(lease) })
let ending = false
process.stdin.resume()
process.stdin.once('end', () => (ending = true))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const us = () => Number(process.hrtime.bigint() / 1_000n)
let lives = 0

for (let n = 0; !ending; n++) {
  const slot = Math.floor(us() / SLOT_US)
  const some = Math.floor(Math.random() * KEYS)
  const value = `${name}.${n}`
  if (Math.random() < 0.85) {
    // All of them at once: one that wakes has little time before it hears of what was revoked meanwhile.
    await Promise.all(Array.from({ length: KEYS }, (_, i) => told('read', slot, i, undefined, (key) => cache.get(key))))
  } else await told('write', slot, some, value, (key) => (n % 2 === 0 ? cache : db.kv).put(key, value))
  await sleep(2)
}
console.log(JSON.stringify({ hits: cache.hits, misses: cache.misses }))
await db.close()

async function told(f, slot, number, value, run) {
  const key = `c/${slot}/${number}`
  const event = { process: `${name}.${number}.${lives}`, f, key, ...(value === undefined ? {} : { value }) }
  console.log(JSON.stringify({ t: us(), type: 'invoke', ...event }))
  try {
    const found = await run(key)
    console.log(
      JSON.stringify({ t: us() + 1, type: 'ok', ...event, ...(f === 'read' ? { value: found ?? null } : {}) }),
    )
  } catch (error) {
    const isKnown = error.outcome === 'not-applied'
    console.log(JSON.stringify({ t: us() + 1, type: isKnown ? 'fail' : 'info', ...event }))
    // A process with an operation of unknown fate does nothing more under its name.
    if (!isKnown) lives++
  }
}

function naiveCache({ kv }) {
  const kept = new Map()
  return {
    hits: 0,
    misses: 0,
    async get(key) {
      const found = kept.get(key)
      if (found !== undefined && performance.now() < found.until) {
        this.hits++
        return found.value
      }
      this.misses++
      const value = await kv.get(key)
      kept.set(key, { value, until: performance.now() + NAIVE_MS })
      return value
    },
    put: (key, value) => kv.put(key, value),
  }
}
