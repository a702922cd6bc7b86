// Watches of a clerk: where they are served, how they go on at another replica without a gap or a repetition, credit, ends, what is left.
import { describe, expect, test } from 'vitest'
import { CHANGE_HEADER_BYTES, CompactedError, MAX_WATCHES_PER_CONNECTION, writeChangeHeader } from '@coppice/protocol'
import type { Change, CoppiceError, Index, WatchEndReason, WatchMessage } from '@coppice/protocol'
import type { Clerk, WatchHandle } from '@coppice/clerk/core'
import { FakeCluster, bytesOf, textOf } from './support/fake-cluster.js'
import type { FakeLink } from './support/fake-network.js'

const KiB = 1024

/** Some changes as they travel. */
function changesOf(list: readonly (readonly [index: Index, topic: string, payload?: string])[]) {
  const parts: number[] = []
  for (const [index, topic, payload = ''] of list) {
    const b = new Uint8Array(CHANGE_HEADER_BYTES + topic.length + payload.length)
    writeChangeHeader(b, 0, index, 0, 0, topic.length, payload.length)
    b.set(bytesOf(topic + payload), CHANGE_HEADER_BYTES)
    parts.push(...b)
  }
  return { buffer: Uint8Array.from(parts), start: 0, end: parts.length }
}

/** A watch, and the replica that serves it. */
class Watched {
  readonly told: string[] = []
  readonly sizes: number[] = []
  readonly synced: Index[] = []
  readonly ends: CoppiceError[] = []
  readonly asked: { at: string; message: WatchMessage }[] = []
  readonly credits: number[] = []
  readonly handle: WatchHandle
  unwatched = 0
  readonly #cluster: FakeCluster
  #link: FakeLink | undefined

  constructor(cluster: FakeCluster, clerk: Clerk, from = 0, windowBytes?: number) {
    this.#cluster = cluster
    cluster.onWatch = (at, link, message) => {
      if (message.kind === 'watch') {
        this.#link = link
        this.asked.push({ at, message })
      }
      if (message.kind === 'credit') this.credits.push(message.bytes)
      if (message.kind === 'unwatch') this.unwatched++
    }
    const filter = {
      stream: 0,
      topic: bytesOf('t'),
      exact: false,
      from,
      ...(windowBytes === undefined ? {} : { windowBytes }),
    }
    this.handle = clerk.watch(filter, {
      changes: (batch: readonly Change[]) => {
        for (const { index, topic, size } of batch) {
          this.told.push(`${index}${textOf(topic)}`)
          this.sizes.push(size)
        }
      },
      synced: (next) => this.synced.push(next),
      end: (error) => this.ends.push(error),
    })
  }

  get at(): string {
    return this.asked.at(-1)!.at
  }
  get request(): WatchMessage {
    return this.asked.at(-1)!.message
  }

  async tell(next: Index, list: Parameters<typeof changesOf>[0] = []): Promise<void> {
    const { watchId } = this.request
    this.#link!.reply({ kind: 'changes', watchId, epoch: 1, next, changes: changesOf(list) })
    await this.#cluster.time.run(20)
  }
  async end(reason: WatchEndReason, floor = 0): Promise<void> {
    this.#link!.reply({ kind: 'watchEnd', watchId: this.request.watchId, epoch: 1, reason, floor })
    await this.#cluster.time.run(1_500)
  }
  async breakLink(): Promise<void> {
    this.#link!.break('reset by the test')
    await this.#cluster.time.run(1_500)
  }
}

async function watched(from = 0, windowBytes?: number) {
  const cluster = new FakeCluster()
  const clerk = cluster.newClerk()
  const w = new Watched(cluster, clerk, from, windowBytes)
  await cluster.time.run(100)
  return { cluster, clerk, w }
}

describe('goes on elsewhere', () => {
  test('link_lost_fromWhatComesNext', async () => {
    const { clerk, w } = await watched()
    expect(w.request).toMatchObject({ stream: 0, exact: false, from: 0, credit: KiB * KiB })
    await w.tell(5)
    expect(w.synced).toEqual([5])
    await w.tell(8, [
      [5, 'a'],
      [7, 'b'],
    ])
    await w.breakLink()
    expect(w.asked.length).toBe(2)
    expect(w.request.from).toBe(8)
    await w.tell(10, [[9, 'c']])
    expect(w.told).toEqual(['5a', '7b', '9c'])
    await clerk.close()
  })

  test('nothing_told_yet_fromNowOnAgain', async () => {
    const { clerk, w } = await watched()
    await w.breakLink()
    expect(w.request.from).toBe(0)
    await clerk.close()
  })

  test('entry_told_in_part_its_first_changes_are_not_told_again', async () => {
    const { clerk, w } = await watched()
    await w.tell(7, [
      [6, 'a'],
      [7, 'b'],
    ])
    await w.tell(7, [[7, 'c']])
    await w.breakLink()
    expect(w.request.from).toBe(7)
    // It comes from its beginning, and in other portions.
    await w.tell(7, [[7, 'b']])
    await w.tell(9, [
      [7, 'c'],
      [7, 'd'],
      [8, 'e'],
    ])
    expect(w.told).toEqual(['6a', '7b', '7c', '7d', '8e'])
    await w.breakLink()
    expect(w.request.from).toBe(9)
    await clerk.close()
  })

  test('moved_atAnotherReplicaAfterTheNewConfigurationIsKnown', async () => {
    const { cluster, clerk, w } = await watched()
    await w.tell(5)
    cluster.elect(['r4'])
    await w.end('moved')
    expect(w.at).toBe('r4')
    expect(w.request.from).toBe(5)
    expect(w.ends).toEqual([])
    await clerk.close()
  })

  test('all_members_gone_aNewOneIsFoundThoughNoCallIsOpen', async () => {
    const { cluster, clerk, w } = await watched()
    await w.tell(5)
    cluster.elect(['r4'])
    for (const id of ['r1', 'r2', 'r3']) cluster.network.kill(`${id}:1`)
    await cluster.time.run(5_000)
    expect(w.at).toBe('r4')
    await clerk.close()
  })

  test('answers_of_a_link_that_is_gone_countNot', async () => {
    const { clerk, w } = await watched()
    await w.tell(5)
    await w.breakLink()
    await w.tell(6, [[5, 'a']])
    expect(w.told).toEqual(['5a'])
    await clerk.close()
  })
})

describe('credit', () => {
  test('is_given_back_in_portions_as_bytes_are_consumed', async () => {
    const { cluster, clerk, w } = await watched(0, 4 * KiB)
    expect(w.request.credit).toBe(4 * KiB)
    await w.tell(3, [[2, 'a', 'x'.repeat(2 * KiB)]])
    await cluster.time.run(50)
    expect(w.credits).toEqual([])
    w.handle.consumed(w.sizes[0]!)
    await cluster.time.run(50)
    expect(w.credits).toEqual(w.sizes)
    await clerk.close()
  })

  test('another_replica_gets_what_is_left_of_the_window', async () => {
    const { clerk, w } = await watched(0, 4 * KiB)
    await w.tell(3, [[2, 'a', 'x'.repeat(3 * KiB)]])
    await w.breakLink()
    expect(w.request.credit).toBe(4 * KiB - w.sizes[0]!)
    await w.tell(5, [[4, 'b', 'x'.repeat(3 * KiB)]])
    await w.breakLink()
    expect(w.request.credit).toBe(0)
    await clerk.close()
  })
})

describe('ends', () => {
  test('compacted_withTheFloor', async () => {
    const { clerk, w } = await watched(5)
    await w.end('compacted', 100)
    expect(w.ends[0]).toBeInstanceOf(CompactedError)
    expect(w.ends[0]).toMatchObject({ code: 'COMPACTED', outcome: 'not-applied', floor: 100 })
    expect(clerk.counts.watches).toBe(0)
    await clerk.close()
  })

  test('overloaded_everywhere_isAnError', async () => {
    const { clerk, w } = await watched()
    for (let i = 0; i < 20 && w.ends.length === 0; i++) await w.end('overloaded')
    expect(w.ends[0]).toMatchObject({ code: 'OVERLOADED', outcome: 'not-applied' })
    expect(new Set(w.asked.map(({ at }) => at)).size).toBeGreaterThan(1)
    await clerk.close()
  })

  test('close_tellsTheReplica_andNothingIsTold', async () => {
    const { cluster, clerk, w } = await watched()
    w.handle.close()
    w.handle.close()
    await cluster.time.run(50)
    expect(w.unwatched).toBe(1)
    await w.tell(5, [[4, 'a']])
    expect(w.told).toEqual([])
    expect(w.ends).toEqual([])
    await clerk.close()
  })

  test('close_ofTheClerk_endsThemAll_andNoTimerIsLeft', async () => {
    const { cluster, clerk, w } = await watched()
    await clerk.close()
    expect(w.ends[0]).toMatchObject({ code: 'CLOSED' })
    await cluster.time.run(5_000)
    expect(cluster.time.pending).toBe(0)
    expect(() =>
      clerk.watch({ stream: 0, topic: bytesOf('t'), exact: true }, { changes: () => {}, end: () => {} }),
    ).toThrow('closed')
  })

  test('too_many_of_one_clerk_isAnErrorAtOnce', async () => {
    const cluster = new FakeCluster()
    const clerk = cluster.newClerk()
    const open = (): WatchHandle =>
      clerk.watch({ stream: 0, topic: bytesOf('t'), exact: true }, { changes: () => {}, end: () => {} })
    for (let i = 0; i < MAX_WATCHES_PER_CONNECTION; i++) open()
    expect(open).toThrow(expect.objectContaining({ code: 'OVERLOADED' }) as Error)
    await clerk.close()
  })
})

test('idle_watch_sendsNothingAndHasNoTimer', async () => {
  const { cluster, clerk, w } = await watched()
  await w.tell(5)
  await cluster.time.run(2_000)
  const { length } = cluster.heard
  expect(cluster.time.pending).toBe(0)
  await cluster.time.run(60_000)
  expect(cluster.heard.length).toBe(length)
  await clerk.close()
})
