// coppice bench: what the path does today. Callers that each wait for their answer, for some seconds, after a warm-up.
import type { Db } from '@coppice/vkv'
import type { Command } from 'commander'
import { devCluster, settingsFor, withAdmin, withDb } from '../base/context.js'
import { countOption, durationOption } from '../base/options.js'
import { note, print, printJson, table } from '../base/output.js'
import type { Settings } from '../base/settings.js'
import { cpuMsOf } from '../dev/processes.js'

const DEFAULT_TIMEOUT_MS = 10_000
const ASK_MS = 1_000

interface BenchFlags {
  readonly callers: number
  readonly seconds: number
  readonly warmup: number
  readonly value: number
  readonly keys: number
}

export function addBench(program: Command): void {
  const bench = program.command('bench').description('measure the cluster')
  bench
    .command('put')
    .description('plain writes of random keys')
    .option('--callers <n>', 'calls in flight, all on one clerk', countOption(1), 64)
    .option('--seconds <n>', 'how long to measure', countOption(1), 5)
    .option('--warmup <duration>', 'not measured', durationOption, 1_000)
    .option('--value <bytes>', 'size of a value', countOption(0), 128)
    .option('--keys <n>', 'different keys', countOption(1), 100_000)
    .addHelpText('after', '\nExample:\n  coppice bench put --callers 256 --seconds 10')
    .action(async (_flags, command: Command) => {
      await benchPut(settingsFor(command), command.opts<BenchFlags>())
    })
}

async function benchPut(settings: Settings, flags: BenchFlags): Promise<void> {
  const pids = await localPids(settings)
  const result = await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
    note(`${flags.callers} callers, values of ${flags.value} bytes, ${flags.keys} keys, ${flags.seconds} s`)
    await drive(db, flags, flags.warmup)
    const before = pids.map(({ pid }) => cpuMsOf(pid))
    const own = process.cpuUsage()
    const measured = await drive(db, flags, flags.seconds * 1_000)
    const { user, system } = process.cpuUsage(own)
    const perOp = (ms: number): number => (ms * 1_000) / Math.max(measured.latencies.length, 1)
    const cpu = pids.flatMap(({ id, pid }, i) => {
      const now = cpuMsOf(pid)
      const then = before[i]
      return now === undefined || then === undefined ? [] : [{ id, microsPerOp: perOp(now - then) }]
    })
    return { ...measured, cpu: [{ id: 'client', microsPerOp: perOp((user + system) / 1_000) }, ...cpu] }
  })
  show(settings, flags, result)
}

interface Measured {
  readonly latencies: number[]
  readonly ms: number
  readonly failed: number
}

async function drive(db: Db, { callers, value, keys }: BenchFlags, forMs: number): Promise<Measured> {
  const kv = db.kv.bytes
  const payload = Buffer.alloc(value, 'v')
  const latencies: number[] = []
  let failed = 0
  const begun = performance.now()
  const caller = async (): Promise<void> => {
    while (performance.now() - begun < forMs) {
      const sent = performance.now()
      try {
        await kv.put(`bench/${Math.floor(Math.random() * keys)}`, payload)
        latencies.push(performance.now() - sent)
      } catch {
        failed++
      }
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { latencies, ms: performance.now() - begun, failed }
}

// The processes of a cluster on this machine; of others /proc tells nothing.
async function localPids(settings: Settings): Promise<{ id: string; pid: number }[]> {
  const dev = settings.config === undefined ? devCluster(settings) : undefined
  if (dev !== undefined) return [...dev.replicas, ...dev.configServers].filter(({ pid }) => pid > 0)
  return withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
    const { state } = await admin.getGroup()
    const local = state.servers.filter(({ address }) => /^(127\.|localhost|\[::1\])/.test(address))
    const asked = await Promise.allSettled(local.map(({ address }) => admin.status(address, 'replica', ASK_MS)))
    return asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  })
}

function show(
  settings: Settings,
  { callers, value, keys }: BenchFlags,
  { latencies, ms, failed, cpu }: Measured & { readonly cpu: readonly { id: string; microsPerOp: number }[] },
): void {
  latencies.sort((x, y) => x - y)
  const percentile = (p: number): number =>
    latencies[Math.min(Math.floor(latencies.length * p), latencies.length - 1)] ?? 0
  const opsPerSecond = (latencies.length * 1_000) / ms
  const [p50, p99, p999, max] = [percentile(0.5), percentile(0.99), percentile(0.999), latencies.at(-1) ?? 0]
  const cpuPerOp = cpu.reduce((sum, { microsPerOp }) => sum + microsPerOp, 0)
  if (settings.output === 'json') {
    const latencyMs = { p50, p99, p999, max }
    printJson({
      workload: 'put',
      callers,
      valueBytes: value,
      keys,
      operations: latencies.length,
      failed,
      opsPerSecond,
      latencyMs,
      cpuMicrosPerOp: cpuPerOp,
      cpu,
    })
    return
  }
  print(
    `${Math.round(opsPerSecond).toLocaleString('en')} puts/s (${latencies.length} in ${(ms / 1_000).toFixed(1)} s, ${failed} failed)`,
  )
  print(
    `latency: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, p99.9 ${p999.toFixed(2)} ms, max ${max.toFixed(1)} ms`,
  )
  print(`CPU of all processes: ${cpuPerOp.toFixed(1)} µs per put`)
  print(
    table(
      ['process', 'µs per put'],
      cpu.map(({ id, microsPerOp }) => [id, microsPerOp.toFixed(1)]),
    ),
  )
}
