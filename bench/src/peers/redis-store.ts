// Redis through ioredis. Values are strings, which ioredis joins with their command into one write: measured faster than buffers.
// Whether commands of a turn should travel together is left to the caller: it pays with few callers and costs with many.
import type { Dataset, Store } from '@coppice/cli/bench'
import { requireClient } from './clients.js'

export interface RedisOptions {
  readonly port: number
  readonly autoPipelining: boolean
}

interface Redis {
  set(key: string, value: string): Promise<unknown>
  getBuffer(key: string): Promise<Buffer | null>
  quit(): Promise<unknown>
}
interface Ioredis {
  readonly Redis: new (options: Readonly<Record<string, unknown>>) => Redis
}

const VALUES = 256

export async function openStore({ port, autoPipelining }: RedisOptions, dataset: Dataset): Promise<Store> {
  const { Redis: Client } = requireClient<Ioredis>('ioredis')
  const redis = new Client({ host: '127.0.0.1', port, enableAutoPipelining: autoPipelining })
  const values = Array.from({ length: VALUES }, () =>
    (dataset.value() as Buffer).toString('base64').slice(0, dataset.valueBytes),
  )
  let turn = 0
  return {
    put: (key) => redis.set(dataset.name(key), values[turn++ % VALUES]!),
    get: (key) => redis.getBuffer(dataset.name(key)),
    async close() {
      await redis.quit()
    },
  }
}
