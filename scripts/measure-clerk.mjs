// What a call costs in the client process without sockets: the store's client and the clerk over links in memory, whose server answers
// each frame at the next turn with bytes made beforehand. Encoding and decoding of frames are included, the server's work is not.
// Needs a build.   node scripts/measure-clerk.mjs [--seconds N] [--callers 1,64,256] [--only get|put] [--bytes 128] [--text]
import { parseArgs } from 'node:util'
import { DEFAULT_PARAMS, decodeMessage, encodeMessage, writeU32, writeU53 } from '@coppice/protocol'
import { nodeText, systemClock, systemRandom } from '@coppice/runtime'
import { Clerk } from '@coppice/clerk/core'
import { textKv } from '@coppice/vkv/core'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '1' },
    callers: { type: 'string', default: '1,64,256' },
    only: { type: 'string' },
    bytes: { type: 'string', default: '128' },
    text: { type: 'boolean', default: false },
  },
})
const FOR_MS = Number(values.seconds) * 1_000
const VALUE = new Uint8Array(Number(values.bytes)).fill(118)
const KEYS = Array.from({ length: 100_000 }, (_, i) => `user${String(i).padStart(12, '0')}`)

const servers = [{ id: 'r1', storeId: 's', address: 'r1:1' }]
const configuration = {
  clusterId: 'c',
  group: 'main',
  version: 1,
  epoch: 1,
  members: ['r1'],
  start: 1,
  checkpointId: 'x',
  servers,
  configServers: [{ id: 'c1', storeId: 'k', address: 'c1:1' }],
  params: DEFAULT_PARAMS,
}

/** A link whose server is `answer(bytes, reply)`. */
function dialer(kind, answer) {
  return {
    dial() {
      const link = { open: false, queuedBytes: 0, onOpen: undefined, onMessage: undefined, onClose: undefined }
      const waiting = []
      const answerAll = () => {
        for (const bytes of waiting.splice(0)) {
          for (const each of answer(bytes)) link.onMessage?.(decodeMessage(each, kind, nodeText))
        }
      }
      link.send = (message) => {
        if (waiting.push(encodeMessage(message, nodeText)) === 1) setImmediate(answerAll)
      }
      link.close = () => undefined
      setImmediate(() => {
        link.open = true
        link.onOpen?.()
      })
      return link
    },
  }
}

const configDialer = dialer('client-config', (bytes) => {
  const { requestId } = decodeMessage(bytes, 'client-config', nodeText)
  return [encodeMessage({ kind: 'config', requestId, leader: 'c1', configuration }, nodeText)]
})

/** Frames with so many answers, made once; only their first id changes. */
const framesByCount = new Map()
function frame(kind, count, first) {
  const key = `${kind}${count}`
  let bytes = framesByCount.get(key)
  if (bytes === undefined) {
    const one = kind === 'reads' ? 8 + 9 + VALUE.length : 5 + 10
    const buffer = new Uint8Array(one * count)
    for (let i = 0, at = 0; i < count; i++, at += one) {
      if (kind === 'reads') {
        writeU32(buffer, at, i)
        writeU32(buffer, at + 4, 9 + VALUE.length)
        buffer[at + 8] = 1
        writeU53(buffer, at + 9, 7)
        buffer.set(VALUE, at + 17)
      } else {
        writeU32(buffer, at + 1, 10)
        writeU53(buffer, at + 6, 7)
      }
    }
    const replies = { buffer, start: 0, end: buffer.length }
    const common = { count, epoch: 1, minIndex: 9, replies }
    bytes = encodeMessage(
      kind === 'reads'
        ? { kind: 'readReplies', firstReadId: 0, ageMs: 0, ...common }
        : { kind: 'replies', clerkId: 5, firstRequestId: 0, ...common },
      nodeText,
    )
    framesByCount.set(key, bytes)
  }
  writeU53(bytes, kind === 'reads' ? 1 : 9, first)
  return bytes
}

let frames = 0
const u32 = (b, at) => (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0
const u53 = (b, at) => u32(b, at + 4) * 2 ** 32 + u32(b, at)
const replicaDialer = dialer('client-replica', (bytes) => {
  frames++
  // By the places of the layout: decoding would be the server's work.
  if (bytes[0] === 16) return [frame('reads', u32(bytes, 22), u53(bytes, 1))]
  if (bytes[0] === 1) return [frame('requests', u32(bytes, 25), u53(bytes, 9))]
  const message = decodeMessage(bytes, 'client-replica', nodeText)
  if (message.kind === 'register') {
    return [encodeMessage({ kind: 'registered', nonce: message.nonce, clerkId: 5, epoch: 1 }, nodeText)]
  }
  throw new Error(`unexpected ${message.kind}`)
})

const clerk = new Clerk(
  { configServers: ['c1:1'] },
  { clock: systemClock, random: systemRandom, configDialer, replicaDialer },
)
await clerk.ready()
const text = textKv(clerk, { text: nodeText })
const kv = values.text ? text : text.bytes
const value = values.text ? 'v'.repeat(VALUE.length) : VALUE

const WORK = {
  get: (key) => kv.get(key),
  put: (key) => kv.put(key, value),
}

async function measure(what, callers, forMs) {
  const work = WORK[what]
  let done = 0
  let stop = false
  const caller = async (at) => {
    while (!stop) {
      await work(KEYS[at])
      at = (at + 7_919) % KEYS.length
      done++
    }
  }
  frames = 0
  const began = performance.now()
  const cpu = process.cpuUsage()
  const heap = process.memoryUsage()
  const running = Array.from({ length: callers }, (_, i) => caller(i * 31))
  await new Promise((resolve) => setTimeout(resolve, forMs))
  const ms = performance.now() - began
  const used = process.cpuUsage(cpu)
  const n = done
  stop = true
  await Promise.all(running)
  return { n, ms, us: (used.user + used.system) / n, perFrame: n / frames, heap }
}

const mixes = values.only === undefined ? ['get', 'put'] : [values.only]
for (const what of mixes) {
  await measure(what, 64, 300)
  for (const callers of values.callers.split(',').map(Number)) {
    const { n, ms, us, perFrame } = await measure(what, callers, FOR_MS)
    const cells = [
      what.padEnd(4),
      `${callers} callers`.padStart(12),
      `${us.toFixed(2)} µs/op`.padStart(14),
      `${Math.round((n / ms) * 1_000)} ops/s`.padStart(16),
      `${perFrame.toFixed(0)} a frame`.padStart(12),
    ]
    process.stdout.write(`${cells.join('')}\n`)
  }
}
await clerk.close()
