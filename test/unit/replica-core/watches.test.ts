// Watches at replicas: committed changes once and in order, from the past and from now on, at any member, through everything that changes
// members; and what bounds them.
import { describe, expect, test } from 'vitest'
import { MAX_WATCHES_PER_CONNECTION, readChanges } from '@coppice/protocol'
import type { ReplicaToClient, WatchEndMessage } from '@coppice/protocol'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const WINDOW = 1_000_000

/** Somebody with a connection of his own, who notes what a replica tells him. */
class Watcher {
  readonly told: { at: string; watchId: number; index: number; key: number }[] = []
  readonly synced: number[] = []
  readonly ends: WatchEndMessage[] = []
  readonly messages: ReplicaToClient[] = []
  next = 0
  readonly #s: Setup
  readonly #connection: number

  constructor(s: Setup, connection: number) {
    this.#s = s
    this.#connection = connection
    const before = s.c.onClient
    s.c.onClient = (server, to, message) => {
      if (to === connection) this.#on(server, message)
      else before(server, to, message)
    }
  }

  watch(at: string, o: { id?: number; key?: number; from?: number; credit?: number } = {}): void {
    const { id = 1, key, from = 0, credit = WINDOW } = o
    const topic = key === undefined ? new Uint8Array(0) : Uint8Array.of(key)
    const exact = key !== undefined
    this.#s.c.client(at, this.#connection, { kind: 'watch', watchId: id, stream: 0, exact, topic, from, credit })
  }
  credit(at: string, bytes: number, id = 1): void {
    this.#s.c.client(at, this.#connection, { kind: 'credit', watchId: id, bytes })
  }
  unwatch(at: string, id = 1): void {
    this.#s.c.client(at, this.#connection, { kind: 'unwatch', watchId: id })
  }
  get keys(): number[] {
    return this.told.map(({ key }) => key)
  }

  #on(at: string, m: ReplicaToClient): void {
    this.messages.push(m)
    if (m.kind === 'watchEnd') this.ends.push(m)
    if (m.kind !== 'changes') return
    // I7.
    if (m.next > this.#s.c.view(at).commitIndex) throw new Error(`${at} tells of what is not committed`)
    const changes = readChanges(m.changes.buffer, m.changes.start, m.changes.end)
    for (const { index, topic } of changes) this.told.push({ at, watchId: m.watchId, index, key: topic[0]! })
    if (changes.length === 0) this.synced.push(m.next)
    this.next = m.next
  }
}

function setup(): { s: Setup; w: Watcher } {
  const s = startCluster()
  return { s, w: new Watcher(s, 77) }
}

describe('told', () => {
  test.each(['a', 'b', 'c'])('every_change_once_in_order_at_%s', (at) => {
    const { s, w } = setup()
    addAll(s, [1, 2])
    w.watch(at)
    s.c.run(50)
    expect(w.synced.length).toBe(1)
    addAll(s, [3, 4, 5])
    addAll(s, [6])
    s.c.run(300)
    expect(w.keys).toEqual([3, 4, 5, 6])
    expect(w.told.map(({ index }) => index)).toEqual([...w.told.map(({ index }) => index)].sort((x, y) => x - y))
  })

  test('from_an_index_of_the_past_on', () => {
    const { s, w } = setup()
    addAll(s, [1, 2, 3])
    const from = s.c.view('a').nextIndex - 2
    w.watch('b', { from })
    s.c.run(50)
    expect(w.keys).toEqual([2, 3])
    expect(w.synced).toEqual([s.c.view('a').nextIndex])
  })

  test('from_an_index_of_the_future_on', () => {
    const { s, w } = setup()
    w.watch('b', { from: s.c.view('a').nextIndex + 2 })
    addAll(s, [1, 2])
    s.c.run(50)
    expect(w.synced.length).toBe(1)
    addAll(s, [3])
    s.c.run(300)
    expect(w.keys).toEqual([3])
  })

  test('exact_topics_only_their_own', () => {
    const { s, w } = setup()
    w.watch('b', { id: 1, key: 1 })
    w.watch('b', { id: 2, key: 2 })
    s.c.run(50)
    addAll(s, [1, 2, 3, 1])
    s.c.run(300)
    const of = (id: number): number[] => w.told.filter(({ watchId }) => watchId === id).map(({ key }) => key)
    expect(of(1)).toEqual([1, 1])
    expect(of(2)).toEqual([2])
  })

  test('unwatch_ends_it', () => {
    const { s, w } = setup()
    w.watch('b')
    s.c.run(50)
    w.unwatch('b')
    s.c.run(50)
    addAll(s, [1])
    s.c.run(300)
    expect(w.told).toEqual([])
  })

  test('nothing_uncommitted_leaves_and_it_comes_when_it_is_committed', () => {
    const { s, w } = setup()
    w.watch('a')
    s.c.run(50)
    s.c.cut.add('a>b')
    const before = s.c.view('a').nextIndex
    s.clerk.add([9])
    s.c.run(60)
    expect(s.c.view('a').nextIndex).toBeGreaterThan(before)
    expect(w.told).toEqual([])
    s.c.cut.delete('a>b')
    s.c.run(500)
    expect(w.keys).toEqual([9])
  })

  test('idle_cluster_sends_nothing', () => {
    const { s, w } = setup()
    addAll(s, [1])
    w.watch('b')
    s.c.run(100)
    const { length } = w.messages
    s.c.run(60_000)
    expect(w.messages.length).toBe(length)
  })

  test('progress_is_told_seldom_when_only_others_changed', () => {
    const { s, w } = setup()
    w.watch('b', { key: 200 })
    s.c.run(100)
    for (let i = 0; i < 30; i++) {
      addAll(s, [1])
      s.c.run(1_000)
    }
    expect(w.told).toEqual([])
    expect(w.synced.length).toBeGreaterThanOrEqual(3)
    expect(w.synced.length).toBeLessThanOrEqual(5)
  })
})

describe('flow', () => {
  test('without_credit_nothing_is_sent_and_nothing_is_lost', () => {
    const { s, w } = setup()
    w.watch('b', { credit: 40 })
    s.c.run(50)
    for (let i = 0; i < 20; i++) addAll(s, [i])
    s.c.run(500)
    const { length } = w.told
    expect(length).toBeGreaterThan(0)
    expect(length).toBeLessThan(20)
    for (let i = 0; i < 40; i++) {
      w.credit('b', 40)
      s.c.run(50)
    }
    expect(w.keys).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test('too_many_watches_of_one_connection_are_refused', () => {
    const { s, w } = setup()
    for (let id = 1; id <= MAX_WATCHES_PER_CONNECTION + 1; id++) w.watch('b', { id, key: 1 })
    s.c.run(100)
    expect(w.ends.map(({ reason }) => reason)).toEqual(['overloaded'])
  })
})

describe('compacted', () => {
  test('from_below_the_floor_is_told_so', () => {
    const s = startCluster({ changeLogBytes: 4_000 })
    const w = new Watcher(s, 77)
    for (let i = 0; i < 300; i++) addAll(s, [i % 250])
    w.watch('b', { id: 1, from: 1 })
    s.c.run(100)
    const { reason, floor } = w.ends[0]!
    expect(reason).toBe('compacted')
    expect(floor).toBeGreaterThan(100)
    w.watch('b', { id: 2, from: floor })
    s.c.run(100)
    expect(w.told[0]!.index).toBe(floor)
    expect(w.told.length).toBe(s.c.view('b').nextIndex - floor)
  })

  test('slow_watcher_that_falls_below_the_floor_is_told_so', () => {
    const s = startCluster({ changeLogBytes: 4_000 })
    const w = new Watcher(s, 77)
    w.watch('b', { credit: 30 })
    s.c.run(50)
    for (let i = 0; i < 300; i++) addAll(s, [i % 250])
    expect(w.told.length).toBeLessThan(5)
    w.credit('b', 1_000)
    s.c.run(50)
    expect(w.ends.map(({ reason }) => reason)).toEqual(['compacted'])
  })
})

describe('members', () => {
  test('watch_goes_on_at_a_member_that_stays', () => {
    const { s, w } = setup()
    w.watch('b')
    s.c.run(50)
    addAll(s, [1])
    change(s, ['b', 'c'])
    s.clerk.primary = 'b'
    s.clerk.resend()
    addAll(s, [2])
    s.c.run(500)
    expect(w.keys).toEqual([1, 2])
    expect(w.ends).toEqual([])
  })

  test('member_that_is_left_out_ends_it_and_it_goes_on_elsewhere', () => {
    const { s, w } = setup()
    w.watch('a')
    s.c.run(50)
    addAll(s, [1])
    s.c.run(300)
    change(s, ['b', 'c'])
    s.clerk.primary = 'b'
    s.clerk.resend()
    addAll(s, [2])
    s.c.run(2_000)
    expect(w.ends.map(({ reason }) => reason)).toEqual(['moved'])
    w.watch('c', { from: w.next })
    s.c.run(200)
    expect(w.keys).toEqual([1, 2])
  })

  test('new_member_by_a_checkpoint_knows_the_past', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    const w = new Watcher(s, 77)
    const keys = Array.from({ length: 60 }, (_, i) => i)
    for (const key of keys) addAll(s, [key])
    s.c.run(500)
    change(s, ['d', 'b'], 20_000)
    expect(s.c.view('d').base).toBeGreaterThan(1)
    w.watch('d', { from: 1 })
    s.c.run(200)
    expect(w.keys).toEqual(keys)
    expect(s.c.view('d').changesHash()).toBe(s.c.view('b').changesHash())
  })

  test('spare_serves_nobody', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'] })
    const w = new Watcher(s, 77)
    w.watch('d')
    s.c.run(50)
    expect(w.ends.map(({ reason }) => reason)).toEqual(['moved'])
  })

  test('member_that_hears_of_nobody_sends_its_watchers_away', () => {
    const { s, w } = setup()
    w.watch('c')
    s.c.run(50)
    for (const other of ['a', 'b', 'c1']) s.c.cut.add(`c>${other}`).add(`${other}>c`)
    s.c.run(8_000)
    expect(w.ends.map(({ reason }) => reason)).toEqual(['moved'])
  })
})
