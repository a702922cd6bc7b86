// Directed stories about the client cache (PROTOCOL 9): what is answered from memory is what a read would answer.
import { type Cache, Db } from '@coppice/vkv/core'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Script, Scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

const KEY = 'q'
const LEASE_MS = 500

export const CACHE_STORIES: readonly Story[] = [
  // One client has a key in its memory, another writes it.
  scripted('cached-key-is-written', async (s) => {
    const { cache } = await cached(s)
    for (let i = 0; i < 3; i++) {
      await write(s, s.client(`writer${i}`))
      await read(s, cache, 1_000)
      await read(s, cache, 1_000)
    }
  }),
  // A client that has a key in its memory is cut off from everybody. A writer waits for its lease and writes.
  scripted('cache-is-cut-off', async (s) => {
    const { client, cache } = await cached(s)
    s.cut(client.host.id, s.c.names)
    const begun = s.c.kernel.now
    await write(s, s.client('writer'))
    const waitedMs = s.c.kernel.now - begun
    check(waitedMs < 2 * LEASE_MS, 'I10', () => `a writer waited ${waitedMs} ms for a cache that is gone`)
    await read(s, cache, 100)
    s.join(client.host.id, s.c.names)
    await read(s, cache, 3_000)
  }),
]

/** A client with KEY in its memory. */
async function cached(s: Script): Promise<{ client: Scripted; cache: Cache }> {
  const client = s.client('cached')
  await write(s, client)
  const cache = new Db(client.clerk, { text: s.c.text }).cached({ lease: LEASE_MS })
  await read(s, cache, 1_000)
  check(cache.size === 1, 'I10', () => 'a key is not cached though nobody writes it')
  return { client, cache }
}

async function write(s: Script, { clerk, host }: Scripted): Promise<void> {
  const value = s.fresh()
  const call = s.w.history.begin(host.id, 'write', KEY, value)
  await new Db(clerk, { text: s.c.text }).kv.put(KEY, value)
  s.w.history.end(call, 'ok', undefined)
}

async function read(s: Script, cache: Cache, withinMs: number): Promise<void> {
  const call = s.w.history.begin('cached', 'read', KEY, undefined)
  try {
    s.w.history.end(call, 'ok', (await cache.get(KEY, { timeout: withinMs })) ?? null)
  } catch {
    // It has no answer, and so no wrong one.
  }
}
