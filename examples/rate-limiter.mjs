// At most five calls in ten seconds for each user, however many servers ask: a counter per user that ends by itself.
//
//   coppice dev
//   node examples/rate-limiter.mjs
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const LIMIT = 5
const WINDOW = '10s'

/** Whether `user` may make one more call now. */
async function allow(db, user) {
  const key = `rate/${user}`
  // The first call of a window makes the key; it is gone when the window has passed, and the next call begins a new one.
  const opened = await db.kv.put(key, '1', { ifVersion: 0, ttl: WINDOW })
  if (opened.ok) return true
  for (;;) {
    const entry = await db.kv.getEntry(key)
    if (entry === undefined) return allow(db, user)
    const used = Number(entry.value)
    if (used >= LIMIT) return false
    // A call that comes between changes the version; then this one looks again. The ttl goes on from here: a sliding window.
    const counted = await db.kv.put(key, String(used + 1), { ifVersion: entry.version, ttl: WINDOW })
    if (counted.ok) return true
  }
}

// Two web servers, each with a connection of its own, are asked for the same user at the same time.
const servers = await Promise.all([connect(url), connect(url)])
await servers[0].kv.delete('rate/ada')
const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => allow(servers[i % 2], 'ada')))
console.log(`20 calls at once: ${answers.filter(Boolean).length} allowed`)
console.log(`another user: ${(await allow(servers[0], 'grace')) ? 'allowed' : 'refused'}`)
await Promise.all(servers.map((db) => db.close()))
