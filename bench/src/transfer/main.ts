// npm run bench:transfer: a large state goes to a spare that replaces a member, while clients write.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { connectAdmin } from '@coppice/clerk'
import { ROOT, startCoppice } from '../base/coppice.js'
import { machine } from '../base/machine.js'
import { fill } from '../base/side.js'
import { note, numberOf, optionsOf, runTool, tempDir } from '../base/tool.js'
import { watchMemory } from '../steady/memory.js'
import type { MemorySample } from '../steady/memory.js'
import { textOf } from './report.js'
import { Writers } from './writers.js'

const HELP = `Fills a fresh cluster of three replicas and a spare, lets clients write at a steady rate, replaces one replica by the spare, and prints
how fast the state was shipped, what memory source and target needed, and for how long no write was answered.

Usage: npm run bench:transfer -- [options]

  --keys N         (default: 1000000)
  --value BYTES    (default: 1024)
  --clients N      (default: 64)
  --rate N         writes per second of all clients together (default: 5000; 0: none)
  --dir DIR        where the data go (default: the system's temporary directory)
  -o json

Example:
  npm run bench:transfer -- --keys 100000`

/** Writers run for so long before the change, to be compared with. */
const BEFORE_MS = 5_000
const MEASURED_WITHIN_MS = 5_000

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, {
    keys: '1000000',
    value: '1024',
    clients: '64',
    rate: '5000',
    dir: '',
    output: 'table',
  })
  const keys = numberOf('keys', given.keys)
  const valueBytes = numberOf('value', given.value)
  const clients = numberOf('clients', given.clients)
  const perSecond = numberOf('rate', given.rate, 0)
  const dataDir = join(tempDir(atEnd, given.dir === '' ? undefined : given.dir), 'data')
  const side = await startCoppice(atEnd, { dataDir, replicas: 3, spares: 1, root: ROOT })
  note(`writing ${keys} keys of ${valueBytes} bytes …`)
  const { loadMs } = await fill(side, { keys, valueBytes })
  note(`written in ${(loadMs / 1_000).toFixed(1)} s`)
  const admin = connectAdmin(side.options.addresses, { timeout: '30m' })
  atEnd(() => admin.close())
  const before = (await admin.getGroup()).state
  const target = before.servers.map(({ id }) => id).find((id) => !before.members.includes(id))!
  const leaving = before.members.at(-1)!
  const to = before.members.map((id) => (id === leaving ? target : id))
  const writers =
    perSecond === 0 ? undefined : await Writers.start(side.options.addresses, { clients, perSecond, keys, valueBytes })
  if (writers !== undefined) atEnd(() => writers.stop())
  await new Promise((resolve) => setTimeout(resolve, BEFORE_MS))
  const calm = writers?.take()
  const memory: MemorySample[] = []
  const stopWatching = watchMemory(side.watched, memory)
  atEnd(stopWatching)
  note(`${target} replaces ${leaving} …`)
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
  const gaps = writers?.take()
  stopWatching()
  const report = {
    machine: machine(),
    options: { keys, valueBytes, clients, perSecond },
    loadMs,
    tookMs,
    target,
    leaving,
    epoch: line!,
    calm,
    gaps,
    failures: writers?.failures ?? [],
    memory,
  }
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(report) : textOf(report)}\n`)
})
