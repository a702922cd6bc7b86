// npm run bench:transfer: a large state goes to a spare that replaces a member, or to three that replace all, while clients write and read.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { connectAdmin } from '@coppice/clerk'
import { ROOT, startCoppice } from '../base/coppice.js'
import { machine } from '../base/machine.js'
import { fill } from '../base/side.js'
import { note, numberOf, optionsOf, runTool, tempDir, UsageError } from '../base/tool.js'
import { watchMemory } from '../steady/memory.js'
import type { MemorySample } from '../steady/memory.js'
import { processorMs } from './processor.js'
import { textOf } from './report.js'
import type { Calls } from './report.js'
import { Callers } from './callers.js'
import { Stalls } from './stalls.js'

const HELP = `Fills a fresh cluster of three replicas and a spare, lets clients write and read at a steady rate, replaces one replica by the spare (or
all three by three spares), and prints how fast the state was shipped, what memory and processor time the servers needed, and for how
long nobody was answered.

Usage: npm run bench:transfer -- [options]

  --keys N         (default: 1000000)
  --value BYTES    (default: 1024)
  --clients N      (default: 64)
  --rate N         writes per second of all clients together (default: 5000; 0: none)
  --reads N        reads per second of as many other clients (default: 1000; 0: none)
  --replace WHAT   one or all (default: one)
  --dir DIR        where the data go (default: the system's temporary directory)
  -o json

Example:
  npm run bench:transfer -- --keys 100000`

const REPLICAS = 3
/** Clients run for so long before the change: until they have dialled and code is compiled, and then to be compared with. */
const WARMUP_MS = 2_000
const BEFORE_MS = 5_000
const MEASURED_WITHIN_MS = 5_000

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, {
    keys: '1000000',
    value: '1024',
    clients: '64',
    rate: '5000',
    reads: '1000',
    replace: 'one',
    dir: '',
    output: 'table',
  })
  const keys = numberOf('keys', given.keys)
  const valueBytes = numberOf('value', given.value)
  const clients = numberOf('clients', given.clients)
  const perSecond = numberOf('rate', given.rate, 0)
  const readsPerSecond = numberOf('reads', given.reads, 0)
  if (given.replace !== 'one' && given.replace !== 'all')
    throw new UsageError(`--replace: one or all, not ${given.replace}`)
  const spares = given.replace === 'one' ? 1 : REPLICAS
  const dataDir = join(tempDir(atEnd, given.dir === '' ? undefined : given.dir), 'data')
  const side = await startCoppice(atEnd, { dataDir, replicas: REPLICAS, spares, root: ROOT })
  note(`writing ${keys} keys of ${valueBytes} bytes …`)
  const { loadMs } = await fill(side, { keys, valueBytes })
  note(`written in ${(loadMs / 1_000).toFixed(1)} s`)
  const admin = connectAdmin(side.options.addresses, { timeout: '30m' })
  atEnd(() => admin.close())
  const before = (await admin.getGroup()).state
  const targets = before.servers.map(({ id }) => id).filter((id) => !before.members.includes(id))
  const leaving = before.members.slice(-spares)
  const to = [...before.members.slice(0, REPLICAS - spares), ...targets]
  const start = async (what: 'writes' | 'reads', rate: number): Promise<Callers | undefined> => {
    if (rate === 0) return undefined
    const callers = await Callers.start(side.options.addresses, { what, clients, perSecond: rate, keys, valueBytes })
    atEnd(() => callers.stop())
    return callers
  }
  const writers = await start('writes', perSecond)
  const readers = await start('reads', readsPerSecond)
  const stalls = new Stalls()
  atEnd(() => stalls.stop())
  const take = (): Calls => ({ writes: writers?.take(), reads: readers?.take(), stalledMs: stalls.take() })
  await new Promise((resolve) => setTimeout(resolve, WARMUP_MS))
  take()
  await new Promise((resolve) => setTimeout(resolve, BEFORE_MS))
  const calm = take()
  const memory: MemorySample[] = []
  const stopWatching = watchMemory(side.watched, memory)
  atEnd(stopWatching)
  note(`${targets.join(', ')} replaces ${leaving.join(', ')} …`)
  const processorBefore = processorMs(side.watched)
  const begun = performance.now()
  const answer = await admin.reconfigure(to, randomBytes(16).toString('hex'))
  const tookMs = performance.now() - begun
  if (!answer.ok) throw new Error(`the change failed: ${answer.message}`)
  const within = performance.now() + MEASURED_WITHIN_MS
  let line = (await admin.getGroup()).state.history.find((e) => e.epoch === answer.epoch)
  // A follower may not have learned it yet; what it cost is known a moment later.
  while (typeof line?.writePauseMs !== 'number' && performance.now() < within) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    line = (await admin.getGroup()).state.history.find((e) => e.epoch === answer.epoch)
  }
  const during = take()
  stopWatching()
  const processor = [...processorMs(side.watched)].map(([id, ms]) => [id, ms - processorBefore.get(id)!] as const)
  const report = {
    machine: machine(),
    options: { keys, valueBytes, clients, perSecond, readsPerSecond },
    loadMs,
    tookMs,
    targets,
    leaving,
    epoch: line!,
    calm,
    during,
    processorMs: new Map(processor),
    failures: [...(writers?.failures ?? []), ...(readers?.failures ?? [])],
    memory,
  }
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(report) : textOf(report)}\n`)
})
