// npm run bench:steady: a long run over many keys, looked at second by second.
import { join } from 'node:path'
import { latencyMs, MIX_NAMES } from '@coppice/cli/bench'
import { ROOT, startCoppice } from '../base/coppice.js'
import { machine } from '../base/machine.js'
import { fill, measure } from '../base/side.js'
import { namesOf, note, numberOf, optionsOf, runTool, tempDir } from '../base/tool.js'
import { steadinessOf } from './dips.js'
import { watchMemory } from './memory.js'
import type { MemorySample } from './memory.js'
import { textOf, writeReport } from './report.js'
import { stallsOf } from './server-logs.js'

const HELP = `Loads many keys into a fresh cluster, runs one workload for minutes, and prints throughput second by second (median, least, largest dip),
the longest time that each server's event loop stood still while a snapshot was taken, and how much memory the servers had.

Usage: npm run bench:steady -- [options]

  --seconds N      how long (default: 300)
  --keys N         (default: 1000000)
  --mix NAME       (default: mixed50)
  --callers N      (default: 64)
  --value BYTES    (default: 128)
  --replicas N     (default: 3)
  --dir DIR        where the data go (default: the system's temporary directory)
  --out DIR        steady.json, steady.svg and steady-memory.svg (default: docs/performance)
  -o json          everything, second by second

Examples:
  npm run bench:steady
  npm run bench:steady -- --seconds 60 --keys 100000 --mix ycsb-a`

/** Long enough for every part of the code to be compiled. */
const WARMUP_MS = 3_000

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, {
    seconds: '300',
    keys: '1000000',
    mix: 'mixed50',
    callers: '64',
    value: '128',
    replicas: '3',
    dir: '',
    out: join(ROOT, 'docs/performance'),
    output: 'table',
  })
  const [mix] = namesOf('mix', given.mix, MIX_NAMES)
  const load = {
    mix: mix!,
    callers: numberOf('callers', given.callers),
    keys: numberOf('keys', given.keys),
    valueBytes: numberOf('value', given.value),
    seconds: numberOf('seconds', given.seconds),
    warmupMs: WARMUP_MS,
  }
  const replicas = numberOf('replicas', given.replicas)
  const dataDir = join(tempDir(atEnd, given.dir === '' ? undefined : given.dir), 'data')
  const side = await startCoppice(atEnd, { dataDir, replicas })
  note(`writing ${load.keys} keys …`)
  const { loadMs } = await fill(side, load)
  note(`written in ${(loadMs / 1_000).toFixed(1)} s; measuring for ${load.seconds} s …`)
  const memory: MemorySample[] = []
  const servers = side.watched.slice(0, replicas)
  const stopWatching = watchMemory(servers, memory)
  atEnd(stopWatching)
  let begunAt = 0
  let before = 0
  const observer = {
    onBegun: () => {
      begunAt = Date.now()
    },
    onProgress: (elapsedMs: number, operations: number) => {
      const second = Math.round(elapsedMs / 1_000)
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${second} s: ${operations - before} operations`)
      before = operations
    },
  }
  const result = await measure(side, { ...load, observer })
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  stopWatching()
  const report = {
    machine: machine(),
    begunAt,
    options: { ...load, replicas },
    steadiness: steadinessOf(result.perSecond),
    latencyMs: latencyMs(result.all),
    failures: result.failures,
    stalls: servers.map(({ id }) => stallsOf(dataDir, id, begunAt)),
    perSecond: result.perSecond,
    memory,
  }
  writeReport(given.out, report)
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(report) : textOf(report)}\n`)
  note(`written to ${given.out}`)
})
