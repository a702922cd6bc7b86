// What all axes share: clusters that are started when one is needed, and a measurement at each point, with its repetitions.
import { join } from 'node:path'
import type { BenchResult, MixName } from '@coppice/cli/bench'
import { cpuMicrosPerOp } from '@coppice/cli/bench'
import { startCoppice } from '../base/coppice.js'
import type { CoppiceSide } from '../base/coppice.js'
import { measure } from '../base/side.js'
import type { Measurement, Side } from '../base/side.js'
import { median, spreadOf } from '../base/stats.js'
import type { Spread } from '../base/stats.js'
import { note } from '../base/tool.js'
import type { AtEnd } from '../base/tool.js'

/** Workloads whose curves are drawn. */
export const MIXES: readonly MixName[] = ['put', 'get']

export interface Settings {
  readonly seconds: number
  readonly runs: number
  /** Keys where they are not what is varied. */
  readonly keys: number
  readonly valueBytes: number
  readonly callers: number
}

export interface Sample {
  /** As it is written at the axis. */
  readonly x: string
  readonly mix: MixName
  readonly opsPerSecond: Spread
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerOp: number
  /** What else is to be known of the point. */
  readonly remark?: string
}

export class Context {
  readonly settings: Settings
  readonly #atEnd: AtEnd
  readonly #dir: string
  #started = 0

  constructor(atEnd: AtEnd, dir: string, settings: Settings) {
    this.#atEnd = atEnd
    this.#dir = dir
    this.settings = settings
  }

  /** A fresh cluster. `maxInFlight` of its clients, where more callers than usual shall be under way; `zones` of its replicas. */
  start(replicas: number, maxInFlight?: number, zones?: readonly string[]): Promise<CoppiceSide> {
    const dataDir = join(this.#dir, `cluster-${++this.#started}`)
    return startCoppice(this.#atEnd, { dataDir, replicas, maxInFlight, zones })
  }

  /** All workloads at one point. */
  async take(
    x: string,
    side: Side,
    varied: Partial<Omit<Measurement, 'mix'>>,
    remarkOn: (results: readonly BenchResult[]) => string | undefined = () => undefined,
  ): Promise<Sample[]> {
    const { runs, ...common } = this.settings
    const samples: Sample[] = []
    for (const mix of MIXES) {
      const results: BenchResult[] = []
      for (let run = 0; run < runs; run++)
        results.push(await measure(side, { ...common, ...varied, mix, seed: run + 1 }))
      const opsPerSecond = spreadOf(results.map((result) => result.opsPerSecond))
      const remark = remarkOn(results)
      note(`${x}, ${mix}: ${Math.round(opsPerSecond.median)} operations/s${remark === undefined ? '' : `, ${remark}`}`)
      samples.push({
        x,
        mix,
        opsPerSecond,
        p50Ms: median(results.map(({ all }) => all.percentileMs(0.5))),
        p99Ms: median(results.map(({ all }) => all.percentileMs(0.99))),
        cpuMicrosPerOp: median(results.map(cpuMicrosPerOp)),
        ...(remark === undefined ? {} : { remark }),
      })
    }
    return samples
  }
}
