// A log-linear histogram of latencies, after HdrHistogram: exact to 0.1 %, from 0.1 µs to 214 s, in constant time and space. Recording
// takes about 10 ns, because it is measured as part of the client.

/** Counts have steps of 1 unit up to here, and from there so many steps in each doubling that none is wider than 0.1 %. */
const LINEAR = 2_048
const HALF = LINEAR / 2
const UNITS_PER_MS = 10_000
const MAX_UNITS = 0x7fffffff
const BUCKETS = bucketOf(MAX_UNITS) + 1

/** Counts of the buckets that are not empty, as messages carry them. */
export interface HistogramData {
  readonly buckets: readonly number[]
  readonly counts: readonly number[]
  readonly sumMs: number
  readonly maxMs: number
}

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #sumMs = 0
  #maxMs = 0

  static from({ buckets, counts, sumMs, maxMs }: HistogramData): Histogram {
    const histogram = new Histogram()
    buckets.forEach((bucket, i) => {
      histogram.#counts[bucket] = counts[i]!
      histogram.#count += counts[i]!
    })
    histogram.#sumMs = sumMs
    histogram.#maxMs = maxMs
    return histogram
  }

  get count(): number {
    return this.#count
  }
  get maxMs(): number {
    return this.#maxMs
  }
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count
  }

  record(ms: number): void {
    // The largest number of units stands for all that take longer; a clock that stepped back for none.
    const units = ms * UNITS_PER_MS < MAX_UNITS ? Math.max((ms * UNITS_PER_MS) | 0, 0) : MAX_UNITS
    this.#counts[bucketOf(units)]!++
    this.#count++
    this.#sumMs += ms
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  /** The latency that a share `p` of all did not exceed, ms; 0 when there are none. */
  percentileMs(p: number): number {
    const rank = Math.max(Math.ceil(p * this.#count), 1)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank) return Math.min(endOf(bucket) / UNITS_PER_MS, this.#maxMs)
    }
    return 0
  }

  /** How many did not exceed `ms`, to the width of a bucket. */
  countUpTo(ms: number): number {
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS && endOf(bucket) <= ms * UNITS_PER_MS; bucket++) seen += this.#counts[bucket]!
    return seen
  }

  add(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket]! += other.#counts[bucket]!
    this.#count += other.#count
    this.#sumMs += other.#sumMs
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs)
  }

  data(): HistogramData {
    const buckets: number[] = []
    this.#counts.forEach((count, bucket) => {
      if (count > 0) buckets.push(bucket)
    })
    const counts = buckets.map((bucket) => this.#counts[bucket]!)
    return { buckets, counts, sumMs: this.#sumMs, maxMs: this.#maxMs }
  }
}

// Above LINEAR the highest 11 bits of the number name the bucket.
function bucketOf(units: number): number {
  if (units < LINEAR) return units
  const shift = 21 - Math.clz32(units)
  return shift * HALF + (units >>> shift)
}

/** First number of units above the bucket. */
function endOf(bucket: number): number {
  if (bucket < LINEAR) return bucket + 1
  const shift = Math.floor(bucket / HALF) - 1
  return (bucket - shift * HALF + 1) * 2 ** shift
}
