#!/usr/bin/env node
// What idle sessions cost: one process opens many, each with a key bound to it, and then does nothing. Prints what it sends while it
// waits, and what is left when it has closed them.
//
//   node scripts/sessions.mjs --config 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103 [--sessions 1000] [--ttl 10s] [--seconds 20]
import { Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { connect } from '@coppice/vkv'

const { values: flags } = parseArgs({
  options: {
    config: { type: 'string', default: process.env.COPPICE_CONFIG ?? '127.0.0.1:7101' },
    sessions: { type: 'string', default: '1000' },
    ttl: { type: 'string', default: '10s' },
    seconds: { type: 'string', default: '20' },
  },
})
const seconds = Number(flags.seconds)

// A frame is one write to its socket, or two: no fewer frames are counted than there are.
const sent = { writes: 0, bytes: 0 }
const write = Socket.prototype.write
Socket.prototype.write = function (chunk, ...rest) {
  sent.writes++
  sent.bytes += chunk.length
  return write.call(this, chunk, ...rest)
}

const db = await connect(`coppice://${flags.config}`)
const begun = performance.now()
const sessions = await Promise.all(
  Array.from({ length: Number(flags.sessions) }, async (_, i) => {
    const session = await db.session({ ttl: flags.ttl })
    await db.kv.put(`demo/session/${i}`, String(session.id), { session })
    return session
  }),
)
console.log(`${sessions.length} sessions with a key each opened in ${Math.round(performance.now() - begun)} ms`)
sent.writes = sent.bytes = 0
await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
const perSecond = (n) => (n / seconds).toFixed(1)
console.log(
  `idle for ${seconds} s: at most ${perSecond(sent.writes)} frames and ${perSecond(sent.bytes)} bytes a second sent`,
)
const valid = sessions.filter((session) => session.valid).length
console.log(`${valid} of ${sessions.length} sessions are valid`)
await db.close()
const after = await connect(`coppice://${flags.config}`)
let left = 0
for await (const _ of after.kv.keys({ prefix: 'demo/session/' })) left++
console.log(`closed: ${left} of their keys are left`)
await after.close()
process.exitCode = valid === sessions.length && left === 0 ? 0 : 1
