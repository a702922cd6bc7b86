// kv.watch over a machine in memory: events, typed values, prefixes, ends, and what is left behind.
import { describe, expect, test } from 'vitest'
import { CompactedError } from '@coppice/protocol'
import type { Change, CoppiceError, Index } from '@coppice/protocol'
import type { WatchFilter, WatchHandle, WatchHandler } from '@coppice/clerk/core'
import { CHANGE_PUT, Db, type Watch, type WatchEvent } from '@coppice/vkv/core'
import { bytes } from './machine-help.js'
import { MemoryClerk, World } from './memory-clerk.js'

function db(seed = 1): { world: World; clerk: MemoryClerk; db: Db } {
  const world = new World(seed)
  const clerk = world.client()
  return { world, clerk, db: new Db(clerk, world.ports) }
}

async function take<K, V>(world: World, watch: Watch<K, V>, count: number): Promise<WatchEvent<K, V>[]> {
  const events: WatchEvent<K, V>[] = []
  while (events.length < count) {
    const { value, done } = await world.run(watch.next())
    if (done === true) break
    events.push(value)
  }
  return events
}

/** A clerk whose watches are told by the test. */
class ToldClerk extends MemoryClerk {
  handler: WatchHandler | undefined
  filter: WatchFilter | undefined
  consumed = 0
  closed = 0
  override watch(filter: WatchFilter, handler: WatchHandler): WatchHandle {
    this.filter = filter
    this.handler = handler
    return { close: () => void this.closed++, consumed: (n) => void (this.consumed += n) }
  }
}

function told(): { world: World; clerk: ToldClerk; db: Db } {
  const world = new World(1)
  const clerk = new ToldClerk(world)
  return { world, clerk, db: new Db(clerk, world.ports) }
}

function put(index: Index, key: string, value: string): Change {
  return { index, stream: 0, kind: CHANGE_PUT, topic: bytes(key), payload: bytes(value), size: 10 }
}

describe('events', () => {
  test('puts_and_deletes_of_the_prefix_in_order', async () => {
    const { world, db: store } = db()
    const watch = store.kv.watch('a/')
    expect(await take(world, watch, 1)).toEqual([{ type: 'sync', next: 1 }])
    await world.run(store.kv.put('a/1', 'x'))
    await world.run(store.kv.put('b/1', 'y'))
    await world.run(store.kv.delete('a/1'))
    expect(await take(world, watch, 2)).toEqual([
      { type: 'put', key: 'a/1', value: 'x', version: 1, next: 2 },
      { type: 'delete', key: 'a/1', version: 3, next: 4 },
    ])
  })

  test('exact_is_one_key', async () => {
    const { world, db: store } = db()
    const watch = store.kv.watch('a', { exact: true, from: 1 })
    await world.run(store.kv.put('ab', 'x'))
    await world.run(store.kv.put('a', 'y'))
    expect((await take(world, watch, 1)).map((e) => e.type === 'put' && e.key)).toEqual(['a'])
  })

  test('typed_values_and_unseen_prefixes', async () => {
    const { world, db: store } = db()
    const users = store.kv.typed<{ n: number }>({ parse: (value) => value as { n: number } }, { prefix: 'user/' })
    const watch = users.watch('a', { from: 1 })
    await world.run(users.put('anna', { n: 1 }))
    await world.run(store.kv.put('anna', 'not a user'))
    const [event] = await take(world, watch, 1)
    expect(event).toEqual({ type: 'put', key: 'anna', value: { n: 1 }, version: 1, next: 2 })
  })

  test('value_that_does_not_fit_ends_it_with_the_key', async () => {
    const { world, db: store, clerk } = db()
    const watch = store.kv.json<number>().watch('', { from: 1 })
    await take(world, watch, 1)
    await world.run(store.kv.put('k', '{'))
    await expect(world.run(watch.next())).rejects.toThrow(/k/)
    expect(clerk.watches).toBe(0)
    expect(await world.run(watch.next())).toEqual({ done: true, value: undefined })
  })

  test('next_of_a_change_is_behind_it_unless_more_of_its_entry_follows', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch()
    clerk.handler!.changes([put(5, 'a', '1'), put(5, 'b', '2'), put(7, 'c', '3')], 7)
    clerk.handler!.changes([put(7, 'd', '4')], 20)
    expect((await take(world, watch, 4)).map(({ next }) => next)).toEqual([5, 6, 7, 8])
  })
})

describe('flow', () => {
  test('bytes_are_consumed_as_events_are_taken', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch()
    clerk.handler!.changes([put(5, 'a', '1'), put(6, 'b', '2')], 7)
    expect(clerk.consumed).toBe(0)
    await take(world, watch, 1)
    expect(clerk.consumed).toBe(10)
    await take(world, watch, 1)
    expect(clerk.consumed).toBe(20)
  })

  test('sync_that_nobody_took_is_not_told_behind_what_follows_it', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch()
    clerk.handler!.synced!(5)
    clerk.handler!.changes([put(5, 'a', '1')], 6)
    clerk.handler!.synced!(9)
    expect((await take(world, watch, 2)).map((e) => [e.type, e.next])).toEqual([
      ['put', 6],
      ['sync', 9],
    ])
  })
})

describe('ends', () => {
  test('leaving_the_loop_closes_it', async () => {
    const { world, clerk, db: store } = db()
    await world.run(store.kv.put('a', 'x'))
    const loop = async (): Promise<void> => {
      for await (const event of store.kv.watch('', { from: 1 })) if (event.type === 'put') return
    }
    await world.run(loop())
    expect(clerk.watches).toBe(0)
  })

  test('abort_ends_it_with_the_reason_and_leaves_no_listener', async () => {
    const { world, clerk, db: store } = db()
    const abort = new AbortController()
    let listeners = 0
    const signal = {
      get aborted() {
        return abort.signal.aborted
      },
      get reason() {
        return abort.signal.reason as unknown
      },
      addEventListener: (_: 'abort', listener: () => void) => {
        listeners++
        abort.signal.addEventListener('abort', listener)
      },
      removeEventListener: (_: 'abort', listener: () => void) => {
        listeners--
        abort.signal.removeEventListener('abort', listener)
      },
    }
    const watch = store.kv.watch('', { signal })
    await take(world, watch, 1)
    const next = watch.next()
    abort.abort('enough')
    const error = await world.run(next).catch((e: unknown) => e as CoppiceError)
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: 'enough' })
    expect(clerk.watches).toBe(0)
    expect(listeners).toBe(0)
  })

  test('aborted_before_it_began', async () => {
    const { world, clerk, db: store } = db()
    const watch = store.kv.watch('', { signal: AbortSignal.abort('no') })
    await expect(world.run(watch.next())).rejects.toMatchObject({ code: 'ABORTED' })
    expect(clerk.watches).toBe(0)
  })

  test('nobody_takes_it_within_the_timeout', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch('', { timeout: 500 })
    await expect(world.run(watch.next())).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
    expect(clerk.closed).toBe(1)
  })

  test('once_begun_it_knows_no_timeout', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch('', { timeout: 500 })
    clerk.handler!.synced!(5)
    await take(world, watch, 1)
    const next = watch.next()
    await world.pass(10_000)
    clerk.handler!.changes([put(5, 'a', '1')], 6)
    expect((await world.run(next)).value).toMatchObject({ type: 'put', version: 5 })
  })

  test('gap_is_a_compacted_error_with_the_floor', async () => {
    const { world, clerk, db: store } = told()
    const watch = store.kv.watch('', { from: 5 })
    clerk.handler!.end(new CompactedError(5, 100))
    const error = await world.run(watch.next()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(CompactedError)
    expect(error).toMatchObject({ code: 'COMPACTED', outcome: 'not-applied', floor: 100 })
    expect(await world.run(watch.next())).toEqual({ done: true, value: undefined })
  })

  test('process_is_held_only_while_somebody_waits', async () => {
    const world = new World(1)
    let held = 0
    const hold = (): (() => void) => {
      held++
      return () => void held--
    }
    const store = new Db(world.client(), { ...world.ports, hold })
    const watch = store.kv.watch()
    await take(world, watch, 1)
    expect(held).toBe(0)
    const next = watch.next()
    expect(held).toBe(1)
    await watch.return()
    await next
    expect(held).toBe(0)
  })
})
