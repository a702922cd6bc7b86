#!/usr/bin/env node
// What idle sessions cost: one process opens many, each with a key bound to it, and then does nothing. Prints what it sends while it
// waits, how many packets cross the loopback meanwhile (of all processes there: the cluster's own, and others' if there are), and what is
// left when it has closed them. `unshare -n` gives a loopback of its own; --idle counts before any session is opened, too.
//
//   node scripts/sessions.mjs --config 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103 [--sessions 1000] [--ttl 10s] [--seconds 20] [--idle]
import { existsSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { connect } from '@coppice/vkv'

const { values: flags } = parseArgs({
  options: {
    config: { type: 'string', default: process.env.COPPICE_CONFIG ?? '127.0.0.1:7101' },
    sessions: { type: 'string', default: '1000' },
    ttl: { type: 'string', default: '10s' },
    seconds: { type: 'string', default: '20' },
    idle: { type: 'boolean', default: false },
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

/** Packets that crossed the loopback so far; Linux counts them. */
function packets() {
  const path = '/proc/net/dev'
  if (!existsSync(path)) return undefined
  const line = readFileSync(path, 'utf8').match(/^\s*lo:\s*(.*)$/m)
  return line === null ? undefined : Number(line[1].split(/\s+/)[1])
}

const perSecond = (n) => (n / seconds).toFixed(1)

async function rest(what) {
  const before = packets()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  if (before !== undefined) console.log(`${what}: ${perSecond(packets() - before)} packets a second on the loopback`)
}

if (flags.idle) await rest('no session')
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
await rest(`${sessions.length} sessions`)
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
