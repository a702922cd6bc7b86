// Keys in the order of their bytes, page by page (PRODUCT SDK). Each page is what the store held at one index; a range of several pages goes
// through several.
import type { Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { encodeCount, encodeRange, TABLE_KEYS, type KeySpan } from '../core/queries.js'
import { decodeCountReply, decodeRangeReply, type RangeEntry } from '../core/replies.js'
import { Budget } from './budget.js'
import { invalid } from './codecs.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { KvPorts } from './ports.js'
import { readOptions, type ReadOptions, type SpanOptions, type RangeOptions } from './kv-types.js'
import type { View } from './view.js'

const DEFAULT_PAGE = 1_000

/** Some entries that were there together. */
export interface Page<T> {
  readonly entries: readonly T[]
  /** What the page shows is the range as all entries of the log below this index have left it. */
  readonly index: Index
  /** Whether the range goes on behind this page, `limit` aside. */
  readonly more: boolean
  /** Of stale reads: how long ago the replica last knew itself current, ms. */
  readonly ageMs?: number
}

/** A range that was asked for. Each iteration reads it anew, a page at a time and only as far as it is followed. */
export class Range<T> implements AsyncIterable<T> {
  readonly #pages: () => AsyncGenerator<Page<T>, void, undefined>

  constructor(pages: () => AsyncGenerator<Page<T>, void, undefined>) {
    this.#pages = pages
  }

  /** The pages as they come; the last may be empty. Errors: those of any call, for each page. */
  pages(): AsyncGenerator<Page<T>, void, undefined> {
    return this.#pages()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const { entries } of this.#pages()) yield* entries
  }
}

/** `make`: what the user gets of an entry. */
export function rangeOf<K, T>(
  clerk: ClerkLike,
  ports: KvPorts,
  view: View<K, unknown>,
  options: RangeOptions<K>,
  keysOnly: boolean,
  make: (entry: RangeEntry) => T,
): Range<T> {
  checkOptions(options, KNOWN.range, 'range')
  const span = spanOf(view, options)
  const total = countOption(options.limit, 'limit', 0) ?? Infinity
  const pageSize = countOption(options.pageSize, 'pageSize', 1) ?? DEFAULT_PAGE
  const reverse = options.reverse === true
  return new Range(async function* () {
    let rest: KeySpan = span
    let left = total
    while (left > 0) {
      const query = encodeRange({ ...rest, table: TABLE_KEYS, limit: Math.min(left, pageSize), keysOnly, reverse })
      // Each page is a call of its own: what the loop's body does in between is not the range's time.
      const answer = await clerk.readAnswer(query, readOptions(new Budget(clerk, ports, options), options))
      const { entries, more } = decodeRangeReply(answer.bytes)
      const last = entries[entries.length - 1]?.key.slice()
      const page = { entries: entries.map(make), index: answer.minIndex, more }
      yield options.consistency === 'stale' ? { ...page, ageMs: answer.ageMs } : page
      if (!more || last === undefined) return
      left -= entries.length
      rest = reverse ? { ...rest, end: last } : { ...rest, after: last }
    }
  })
}

/** How many keys there are, at one index. */
export async function countOf<K>(
  clerk: ClerkLike,
  ports: KvPorts,
  view: View<K, unknown>,
  options: SpanOptions<K> & ReadOptions,
): Promise<number> {
  checkOptions(options, KNOWN.count, 'count')
  const query = encodeCount(TABLE_KEYS, spanOf(view, options))
  return decodeCountReply(await clerk.read(query, readOptions(new Budget(clerk, ports, options), options)))
}

function spanOf<K>(view: View<K, unknown>, { prefix, start, after, end }: SpanOptions<K>): KeySpan {
  return {
    prefix: view.prefixOf(prefix),
    start: view.bound(start),
    after: view.bound(after),
    // No key is before the empty one: it says that there is no end.
    end: isEmpty(end) ? undefined : view.bound(end),
  }
}

function isEmpty(key: unknown): boolean {
  return key === '' || (key instanceof Uint8Array && key.length === 0)
}

function countOption(count: number | undefined, what: string, least: number): number | undefined {
  if (count === undefined || count === Infinity) return undefined
  if (Number.isSafeInteger(count) && count >= least) return count
  throw invalid(`${what}: ${count} is not a whole number of at least ${least}`)
}
