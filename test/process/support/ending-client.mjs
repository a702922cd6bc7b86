// A client that its test kills: `ADDRESS,… session TTL KEY` opens a session, binds a key to it and stays; `ADDRESS,… count KEY IDEMPOTENCY_KEY`
// makes one step of a counter under an idempotency key. It says on stdout what it is about to do and what came of it.
import { connect } from '@coppice/vkv'

const [addresses, what, ...rest] = process.argv.slice(2)
const db = await connect(addresses.split(','), { timeout: '60s' })
if (what === 'session') {
  const [ttl, key] = rest
  const session = await db.session({ ttl, name: 'to be killed' })
  await db.kv.put(key, String(session.id), { session })
  console.log(`open ${session.id}`)
  // Kept alive until it is killed.
  setInterval(() => undefined, 1_000)
} else {
  const [key, idempotencyKey] = rest
  console.log('counting')
  const counted = await db.kv.update(key, (value) => String(Number(value ?? '0') + 1), { idempotencyKey })
  console.log(`counted ${counted.value} ${counted.version}`)
  await db.close()
}
