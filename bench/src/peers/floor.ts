// What one caller's put and get take with three replicas, beside the least that the machine could do: the durable append of the same
// record by three processes at once, and one round trip over a WebSocket.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measure } from '../base/side.js'
import type { Measurement, Side } from '../base/side.js'
import { median } from '../base/stats.js'
import type { AtEnd } from '../base/tool.js'

const RECORD_BYTES = 200
const PROCESSES = 3
const EVERY_MS = 5
const APPENDS = 400
const START_MS = 500
const SECONDS = 2

export interface Floor {
  /** Medians, ms. Of the appends: of the slowest of the three each time. */
  readonly putMs: number
  readonly appendMs: number
  readonly getMs: number
  readonly roundTripMs: number
}

type Load = Pick<Measurement, 'keys' | 'valueBytes'>

export async function measureFloor(atEnd: AtEnd, dir: string, coppice: Side, load: Load): Promise<Floor> {
  const one = { ...load, callers: 1, seconds: SECONDS }
  const puts = await measure(coppice, { ...one, mix: 'put' })
  const appendMs = await appendsAtOnce(atEnd, dir)
  const gets = await measure(coppice, { ...one, mix: 'get' })
  const roundTripMs = await roundTrips(atEnd, load.valueBytes)
  return { putMs: puts.all.percentileMs(0.5), appendMs, getMs: gets.all.percentileMs(0.5), roundTripMs }
}

async function appendsAtOnce(atEnd: AtEnd, dir: string): Promise<number> {
  const begin = Date.now() + START_MS
  const children = Array.from({ length: PROCESSES }, (_, i) =>
    start(atEnd, './append-process.js', join(dir, `append-${i}`), RECORD_BYTES, begin, EVERY_MS, APPENDS),
  )
  const took = await Promise.all(children.map((child) => told<number[]>(child)))
  return median(Array.from({ length: APPENDS }, (_, i) => Math.max(...took.map((each) => each[i]!))))
}

async function roundTrips(atEnd: AtEnd, bytes: number): Promise<number> {
  const server = start(atEnd, './echo-process.js')
  const port = await told<number>(server)
  const client = start(atEnd, './echo-process.js', port, bytes, SECONDS * 1_000)
  const took = await told<number[]>(client)
  for (const child of [client, server]) child.disconnect()
  return median(took)
}

function start(atEnd: AtEnd, script: string, ...args: readonly (string | number)[]): ChildProcess {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args.map(String))
  atEnd(() => {
    child.kill()
  })
  return child
}

/** Its first message. */
async function told<T>(child: ChildProcess): Promise<T> {
  const ended = once(child, 'disconnect').then(() => {
    throw new Error('a process ended before it had measured anything')
  })
  ended.catch(() => undefined)
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [T]
  return message
}
