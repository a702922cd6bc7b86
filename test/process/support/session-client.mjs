// A client with one session after the other, as a process of its own: node session-client.mjs ADDRESSES TTL
// Binds keys `s/ID/N` to each, and closes it after a while unless it is lost. Says on stdout, a line each:
//   open ID
//   over ID VALID SIGNAL HOW     when it was closed or lost: until when at least, in µs of the machine's monotonic time, `session.valid` was
//                                true, and until when its signal was not aborted while this process ran without a pause. HOW: closed or lost.
// Ends when its stdin does.
import { connect } from '@coppice/vkv'

const KEYS = 3
const LOOK_EVERY_MS = 5
/** A process that looks later than this has stood still: its timers had no chance. */
const PAUSE_US = 25_000

const [addresses, ttl] = process.argv.slice(2)
const db = await connect(`coppice://${addresses}`, { timeout: '60s' })
let ending = false
process.stdin.resume()
process.stdin.once('end', () => (ending = true))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const us = () => Number(process.hrtime.bigint() / 1_000n)

while (!ending) await live()
await db.close()

async function live() {
  const session = await db.session({ ttl: Number(ttl) })
  console.log(`open ${session.id}`)
  let validAt = 0
  let signalAt = 0
  let looking = true
  const look = async () => {
    for (let before = us(); looking && !session.signal.aborted; await sleep(LOOK_EVERY_MS)) {
      // Before it is asked: what it says is true of a later moment.
      const now = us()
      if (now - before < PAUSE_US && !session.signal.aborted) signalAt = now
      if (session.valid) validAt = now
      before = now
    }
  }
  const looked = look()
  try {
    for (let i = 0; i < KEYS; i++) await db.kv.put(`s/${session.id}/${i}`, 'v', { session })
    const lasts = us() + (1_000 + 4_000 * Math.random()) * 1_000
    while (us() < lasts && session.valid && !ending) await sleep(LOOK_EVERY_MS)
  } catch (error) {
    if (error.code !== 'SESSION_ENDED') throw error
  }
  const how = session.valid ? 'closed' : 'lost'
  // What it believed until here counts; from here on it knows.
  looking = false
  await looked
  console.log(`over ${session.id} ${validAt} ${signalAt} ${how}`)
  if (how === 'closed') await session.close()
}
