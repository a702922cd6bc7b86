// The frame reader beside ws against ws alone: whatever bytes come, both hear the same messages and end for the same reason.
import type { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { FRAGMENT_BYTES, MAX_FRAME_BYTES } from '@coppice/protocol'
import { expect, test } from 'vitest'
import * as wsModule from 'ws'
import { FrameReader } from '../../../packages/runtime/src/frame-reader.js'
import { SOCKET_LIMITS } from '../../../packages/runtime/src/socket.js'
import { Prng } from '../../../packages/sim/src/kernel/prng.js'

const { Receiver } = wsModule as unknown as { Receiver: new (options: object) => Writable }

const ZERO = [0, 0, 0, 0] as const
const WHOLE = 0x80
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]

/** What one end heard, in words, and the way to give bytes to ws. */
interface Heard {
  readonly events: string[]
  give(bytes: Uint8Array): void
}

/** A receiver of ws, as its WebSocket uses it: after a close frame, or an error, nothing more is given to it. */
function receiver(masked: boolean): Heard {
  const events: string[] = []
  const ws = new Receiver({ ...SOCKET_LIMITS, isServer: masked })
  let over = false
  ws.on('message', (data: Buffer, isBinary: boolean) => events.push(messageLine(data, isBinary)))
  ws.on('ping', (data: Buffer) => events.push(`ping ${data.toString('hex')}`))
  ws.on('pong', (data: Buffer) => events.push(`pong ${data.toString('hex')}`))
  ws.on('conclude', (code: number) => {
    over = true
    events.push(`close ${code}`)
  })
  ws.on('error', (error: Error) => {
    over = true
    events.push(`error ${error.message}`)
  })
  return { events, give: (bytes) => void (over || ws.write(Buffer.from(bytes))) }
}

function messageLine(data: Uint8Array, isBinary: boolean): string {
  const bytes = Buffer.from(data)
  return `${isBinary ? 'binary' : 'text'} ${bytes.length} ${bytes.toString('latin1', 0, 8)}`
}

/** One frame; its length is written in as few bytes as it needs, or in more. */
function frame(first: number, payload: Uint8Array, mask: readonly number[] | undefined, random: Prng): Uint8Array {
  const n = payload.length
  const bit = mask === undefined ? 0 : 0x80
  const wide = random.chance(0.05)
  const head = [first]
  if (n < 126 && !wide) head.push(bit | n)
  else if (n < 65_536 && !wide) head.push(bit | 126, n >> 8, n & 255)
  else head.push(bit | 127, 0, 0, 0, 0, (n >>> 24) & 255, (n >> 16) & 255, (n >> 8) & 255, n & 255)
  if (mask !== undefined) head.push(...mask)
  const bytes = new Uint8Array(head.length + n)
  bytes.set(head)
  bytes.set(payload, head.length)
  if (mask?.some((byte) => byte !== 0) === true) for (let i = 0; i < n; i++) bytes[head.length + i]! ^= mask[i % 4]!
  return bytes
}

function lengthOf(random: Prng): number {
  if (random.chance(0.01)) return random.chance(0.5) ? MAX_FRAME_BYTES + random.int(3) : FRAGMENT_BYTES
  return random.chance(0.1) ? random.int(3_000) : random.int(30)
}

/** A stream of frames, most of them ordinary; the rarer, the stranger. */
function stream(masked: boolean, random: Prng): Uint8Array {
  const parts: Uint8Array[] = []
  const oddness = random.chance(0.3) ? 0 : 0.15
  for (let n = 1 + random.int(12); n > 0; n--) {
    const payload = new Uint8Array(lengthOf(random)).fill(65 + n)
    let first = WHOLE | BINARY
    let mask: readonly number[] | undefined = masked ? ZERO : undefined
    if (random.chance(oddness)) {
      const control = payload.subarray(0, random.chance(0.9) ? 2 : 126)
      const close = random.chance(0.5) ? Uint8Array.of(3, 232, 111, 107) : control
      const kinds = [TEXT, BINARY, CONTINUATION, WHOLE | CONTINUATION, WHOLE | TEXT]
      const what = random.int(10)
      if (what < 5) first = kinds[what]!
      else if (what === 9) first = random.int(256)
      else {
        const kind = [PING, PONG, PING, CLOSE][what - 5]!
        parts.push(frame(WHOLE | kind, kind === CLOSE ? close : control, mask, random))
        continue
      }
    }
    if (random.chance(oddness / 2)) mask = masked || random.chance(0.1) ? [1, 2, 3, random.int(256)] : undefined
    if (random.chance(oddness / 10)) mask = masked ? undefined : ZERO
    parts.push(frame(first, payload, mask, random))
  }
  if (random.chance(0.1)) parts.push(Uint8Array.from({ length: random.int(40) }, () => random.int(256)))
  return new Uint8Array(Buffer.concat(parts))
}

function cutsOf(bytes: Uint8Array, random: Prng): number[] {
  const cuts = Array.from({ length: random.int(6) }, () => random.int(bytes.length + 1))
  return [...new Set([...cuts, bytes.length])].sort((a, b) => a - b)
}

test('anyBytes_cutAnywhere_areHeardAsWsAloneHearsThem', async () => {
  for (let seed = 1; seed <= 600; seed++) {
    const random = new Prng(seed)
    const masked = random.chance(0.5)
    const bytes = stream(masked, random)
    const alone = receiver(masked)
    const beside = receiver(masked)
    const reader = new FrameReader(
      masked,
      (each) => beside.events.push(messageLine(each, true)),
      (each) => beside.give(each),
    )
    let at = 0
    for (const end of cutsOf(bytes, random)) {
      const read = bytes.slice(at, end)
      alone.give(read)
      reader.push(read)
      read.fill(0xee)
      at = end
      // Receivers tell of errors a moment later.
      await turn()
    }
    expect(beside.events, `seed ${seed}`).toEqual(alone.events)
  }
})
