// The runs of a comparison, sides in turn (A B C, A B C, …), so that whatever the machine does besides meets all alike; and what they say.
import { cpuMicrosPerOp, latencyMs, MIX_NAMES } from '@coppice/cli/bench'
import type { BenchResult, LatencyMs, MixName } from '@coppice/cli/bench'
import { measure } from './side.js'
import type { Side } from './side.js'
import { median, pairRatios, spreadOf } from './stats.js'
import type { Spread } from './stats.js'
import { namesOf, note, numberOf, numbersOf } from './tool.js'

export interface Run {
  readonly system: string
  readonly setting?: string | undefined
  readonly replicas: number
  readonly mix: MixName
  readonly callers: number
  readonly run: number
  readonly opsPerSecond: number
  readonly latencyMs: LatencyMs
  /** Of all its processes, the client's included. */
  readonly cpuMicrosPerOp: number
  readonly cpu: BenchResult['cpu']
  readonly failures: BenchResult['failures']
}

/** One side under one load, over all runs. */
export interface Cell extends Pick<Run, 'system' | 'setting' | 'replicas' | 'mix' | 'callers'> {
  readonly opsPerSecond: Spread
  /** Medians over the runs. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerOp: number
  readonly failed: number
}

export interface Ratio {
  readonly mix: MixName
  readonly callers: number
  /** Of our side. */
  readonly replicas: number
  readonly against: string
  /** Median of the ratios of runs that were made one after the other. */
  readonly ratio: number
  readonly min: number
  readonly max: number
}

export interface Rounds {
  readonly mixes: readonly MixName[]
  readonly callers: readonly number[]
  readonly runs: number
  readonly seconds: number
  readonly keys: number
  readonly valueBytes: number
}

/** From the command line. Throws a UsageError that names what is wrong. */
export function roundsOf(
  given: Readonly<Record<'mix' | 'callers' | 'runs' | 'seconds' | 'keys' | 'value', string>>,
): Rounds {
  return {
    mixes: namesOf('mix', given.mix, MIX_NAMES),
    callers: numbersOf('callers', given.callers),
    runs: numberOf('runs', given.runs),
    seconds: numberOf('seconds', given.seconds),
    keys: numberOf('keys', given.keys),
    valueBytes: numberOf('value', given.value),
  }
}

export async function runRounds(sides: readonly Side[], options: Rounds): Promise<Run[]> {
  const { mixes, callers, runs, seconds, keys, valueBytes } = options
  const done: Run[] = []
  for (const mix of mixes)
    for (const count of callers)
      for (let run = 0; run < runs; run++)
        for (const side of sides) {
          const result = await measure(side, { mix, callers: count, keys, valueBytes, seconds, seed: run + 1 })
          done.push(runOf(side, mix, count, run, result))
          const name = `${side.name} ×${side.replicas}${side.setting === undefined ? '' : `, ${side.setting}`}`
          note(`${mix}, ${count} callers, run ${run + 1}: ${name}: ${Math.round(result.opsPerSecond)} operations/s`)
        }
  return done
}

function runOf(
  { name, setting, replicas }: Side,
  mix: MixName,
  callers: number,
  run: number,
  result: BenchResult,
): Run {
  const { opsPerSecond, cpu, failures, all } = result
  const of = { system: name, setting, replicas, mix, callers, run }
  return { ...of, opsPerSecond, latencyMs: latencyMs(all), cpuMicrosPerOp: cpuMicrosPerOp(result), cpu, failures }
}

/** Runs by cell. Of a system with several settings only the fastest of each cell is kept. */
export function byCell(runs: readonly Run[]): Run[][] {
  const settings = groups(runs, ({ system, setting, replicas, mix, callers }) => [
    mix,
    callers,
    system,
    replicas,
    setting,
  ])
  return groups(settings, ([{ system, replicas, mix, callers } = runs[0]!]) => [mix, callers, system, replicas]).map(
    (competing) => competing.toSorted((x, y) => medianRate(y) - medianRate(x))[0]!,
  )
}

export function cellOf(runs: readonly Run[]): Cell {
  const { system, setting, replicas, mix, callers } = runs[0]!
  const failed = runs.flatMap(({ failures }) => Object.values(failures)).reduce((sum, count) => sum + count, 0)
  return {
    system,
    setting,
    replicas,
    mix,
    callers,
    opsPerSecond: spreadOf(runs.map(({ opsPerSecond }) => opsPerSecond)),
    p50Ms: median(runs.map((run) => run.latencyMs.p50)),
    p99Ms: median(runs.map((run) => run.latencyMs.p99)),
    cpuMicrosPerOp: median(runs.map((run) => run.cpuMicrosPerOp)),
    failed,
  }
}

/** Of every cell of the system `ours` to every other system under the same load. */
export function ratiosOf(
  cells: readonly (readonly Run[])[],
  ours: string,
  of: (run: Run) => number = (run) => run.opsPerSecond,
): Ratio[] {
  const isOurs = ([run]: readonly Run[]): boolean => run!.system === ours
  return cells.filter(isOurs).flatMap((cell) => {
    const { mix, callers, replicas } = cell[0]!
    const others = cells.filter((each) => !isOurs(each) && each[0]!.mix === mix && each[0]!.callers === callers)
    return others.map((theirs) => {
      const { median: ratio, min, max } = pairRatios(cell.map(of), theirs.map(of))
      return { mix, callers, replicas, against: theirs[0]!.system, ratio, min, max }
    })
  })
}

function medianRate(runs: readonly Run[]): number {
  return median(runs.map(({ opsPerSecond }) => opsPerSecond))
}

function groups<T>(items: readonly T[], keyOf: (item: T) => readonly unknown[]): T[][] {
  const byKey = new Map<string, T[]>()
  for (const item of items) {
    const key = JSON.stringify(keyOf(item))
    const group = byKey.get(key)
    if (group === undefined) byKey.set(key, [item])
    else group.push(item)
  }
  return [...byKey.values()]
}
