// What can be varied, one thing at a time, and how each is.
import type { BenchResult } from '@coppice/cli/bench'
import { brief } from '../charts/axis.js'
import { whole } from '../base/markdown.js'
import { fill } from '../base/side.js'
import { UsageError } from '../base/tool.js'
import type { Context, Sample } from './context.js'

export interface Axis {
  readonly title: string
  /** What is written at the horizontal axis. */
  readonly x: string
  readonly points: readonly number[]
  /** Throughput by powers of ten. */
  readonly log?: boolean
  run(context: Context, points: readonly number[]): Promise<Sample[]>
}

export const AXIS_NAMES = ['callers', 'values', 'keys', 'replicas', 'clients', 'clerks', 'serving'] as const
export type AxisName = (typeof AXIS_NAMES)[number]

const REPLICAS = 3
/** The most that one clerk allows. */
const MAX_IN_FLIGHT = 4_096
/** Values under way at once, and in the store, as far as their size is varied. */
const BYTES_UNDER_WAY = 16 * 1024 * 1024
const BYTES_STORED = 64 * 1024 * 1024
const MIN_CALLERS = 4
/** Of each replica, where it is measured how many serve the reads; and the clerks then, the same number in every zone. */
const ZONES = ['z1', 'z2', 'z3']
const SERVED_CLERKS = 6
/** A replica that uses less than this share of the busiest one's CPU serves no reads. */
const SERVING_SHARE = 0.3

const callers: Axis = {
  title: 'Throughput by callers',
  x: 'callers, each awaiting its answer',
  points: [1, 4, 16, 64, 256, 1_024, 4_096],
  async run(context, points) {
    const side = await context.start(REPLICAS, MAX_IN_FLIGHT)
    await fill(side, context.settings)
    const samples = await each(points, (n) => context.take(whole(n), side, { callers: n }))
    await side.stop()
    return samples
  },
}

const values: Axis = {
  title: 'Throughput by size of value',
  x: 'bytes of a value',
  points: [16, 128, 1_024, 16 * 1_024, 128 * 1_024, 1_024 * 1_024],
  log: true,
  async run(context, points) {
    const side = await context.start(REPLICAS)
    const samples = await each(points, async (valueBytes) => {
      const callersNow = Math.max(
        MIN_CALLERS,
        Math.min(context.settings.callers, Math.floor(BYTES_UNDER_WAY / valueBytes)),
      )
      const keys = Math.max(1, Math.min(context.settings.keys, Math.floor(BYTES_STORED / valueBytes)))
      await fill(side, { keys, valueBytes })
      return context.take(bytes(valueBytes), side, { callers: callersNow, keys, valueBytes }, ([result]) => {
        const mibPerSecond = (result!.opsPerSecond * valueBytes) / 2 ** 20
        return `${callersNow} callers, ${mibPerSecond.toPrecision(3)} MiB/s`
      })
    })
    await side.stop()
    return samples
  },
}

const keys: Axis = {
  title: 'Throughput by number of keys',
  x: 'keys in the store',
  points: [1_000, 10_000, 100_000, 1_000_000],
  async run(context, points) {
    const side = await context.start(REPLICAS)
    // The same cluster grows.
    const ascending = points.toSorted((x, y) => x - y)
    const samples = await each(ascending, async (n) => {
      await fill(side, { ...context.settings, keys: n })
      return context.take(brief(n), side, { keys: n })
    })
    await side.stop()
    return samples
  },
}

const replicas: Axis = {
  title: 'Throughput by replicas, all on this machine',
  x: 'replicas',
  points: [1, 2, 3, 5],
  run: (context, points) =>
    each(points, async (n) => {
      const side = await context.start(n)
      await fill(side, context.settings)
      const samples = await context.take(String(n), side, {})
      await side.stop()
      return samples
    }),
}

const clients: Axis = {
  title: 'Throughput by client processes, the callers shared among them',
  x: 'client processes',
  points: [1, 2, 4],
  async run(context, points) {
    const side = await context.start(REPLICAS)
    await fill(side, context.settings)
    const samples = await each(points, (n) => context.take(String(n), side, { clients: n }))
    await side.stop()
    return samples
  },
}

const clerks: Axis = {
  title: 'Throughput by clerks of one client; each reads at a replica of its own choice',
  x: 'clerks',
  points: [1, 2, 3, 6],
  async run(context, points) {
    const side = await context.start(REPLICAS)
    await fill(side, context.settings)
    const samples = await each(points, (n) => context.take(String(n), side, { clerks: n }, servingReplicas))
    await side.stop()
    return samples
  },
}

const serving: Axis = {
  title: 'Throughput by replicas that serve the reads, the same clerks in as many zones',
  x: 'replicas that serve reads',
  points: [1, 2, 3],
  async run(context, points) {
    const beyond = points.find((n) => n > REPLICAS)
    if (beyond !== undefined) throw new UsageError(`--points: ${beyond} replicas cannot serve, there are ${REPLICAS}`)
    const side = await context.start(REPLICAS, undefined, ZONES)
    await fill(side, context.settings)
    const samples = await each(points, (n) => {
      // A clerk of a zone with a member reads there only.
      const options = { ...side.options, zones: ZONES.slice(0, n) }
      const zoned = { ...side, store: { ...side.store, options } }
      return context.take(String(n), zoned, { clerks: SERVED_CLERKS }, servingReplicas)
    })
    await side.stop()
    return samples
  },
}

export const AXES: Readonly<Record<AxisName, Axis>> = { callers, values, keys, replicas, clients, clerks, serving }

// Which replica a clerk reads at is its own affair; who worked shows it.
function servingReplicas(results: readonly BenchResult[]): string | undefined {
  if (results.some(({ kinds }) => kinds.has('put'))) return undefined
  const counts = results.map(({ cpu }) => {
    const ms = cpu.filter(({ id }) => id.startsWith('r')).map((each) => each.ms)
    return ms.filter((each) => each >= SERVING_SHARE * Math.max(...ms)).length
  })
  return `reads served by ${[...new Set(counts)].join(' or ')} of ${REPLICAS} replicas`
}

async function each(points: readonly number[], take: (point: number) => Promise<Sample[]>): Promise<Sample[]> {
  const samples: Sample[] = []
  for (const point of points) samples.push(...(await take(point)))
  return samples
}

function bytes(n: number): string {
  if (n < 1_024) return `${n} B`
  return n < 1_024 * 1_024 ? `${n / 1_024} KiB` : `${n / 1_024 / 1_024} MiB`
}
