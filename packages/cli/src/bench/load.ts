// Fills the store with the keys that a workload reads, many at once; what is there already stays.
import type { Store } from './store.js'

const MAX_AT_ONCE = 1_024
/** Bytes of values under way at once. */
const MAX_BYTES = 8 * 1024 * 1024

export interface LoadOptions {
  readonly keys: number
  readonly valueBytes: number
  /** Of several client processes each loads its part. */
  readonly client: number
  readonly clients: number
}

/** Returns how many were written. Throws what a write failed with. */
export async function load(stores: readonly Store[], options: LoadOptions): Promise<number> {
  const { keys, valueBytes, client, clients } = options
  const isThere = new Uint8Array(keys)
  await stores[0]!.present?.((key) => {
    isThere[key] = 1
  })
  let next = client
  let written = 0
  const caller = async (store: Store): Promise<void> => {
    for (;;) {
      const key = next
      next += clients
      if (key >= keys) return
      if (isThere[key] === 1) continue
      await store.put(key)
      written++
    }
  }
  const atOnce = Math.max(1, Math.min(MAX_AT_ONCE * stores.length, Math.floor(MAX_BYTES / Math.max(valueBytes, 1))))
  await Promise.all(Array.from({ length: atOnce }, (_, n) => caller(stores[n % stores.length]!)))
  return written
}
