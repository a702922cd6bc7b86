// Exactly once, while the primary is killed again and again: four clients count to 400 together, and nothing is lost or counted twice.
// A client that did not hear whether its write was done would have to guess; here the call goes on until it knows.
//
//   coppice dev
//   node examples/exactly-once-counter.mjs
import { run } from '@coppice/cli'
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const CLIENTS = 4
const EACH = 100
const KEY = 'counter'

const first = await connect(url)
await first.kv.put(KEY, '0')

let counted = 0
let kills = 0
async function count() {
  const db = await connect(url, { timeout: '60s' })
  for (let i = 0; i < EACH; i++) {
    // Retried by the clerk under the same requestId when a server dies, so it is applied once; begun anew when others were faster.
    await db.kv.update(KEY, (n) => String(Number(n) + 1))
    counted++
  }
  await db.close()
}

/** kill -9 of the primary, as often as a fifth of the work is done. */
async function kill() {
  for (const share of [0.2, 0.4, 0.6]) {
    while (counted < CLIENTS * EACH * share) await new Promise((resolve) => setTimeout(resolve, 10))
    if ((await run(['node', 'coppice', 'chaos', 'kill', 'primary'])) === 0) kills++
  }
}

await Promise.all([kill(), ...Array.from({ length: CLIENTS }, count)])
const total = Number(await first.kv.get(KEY, { timeout: '60s' }))
console.log(`${counted} increments, ${kills} primaries killed: the counter says ${total}`)
await first.close()
process.exitCode = total === counted ? 0 : 1
