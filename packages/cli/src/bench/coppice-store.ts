// Coppice as the generator sees it, through the public API as a user would call it.
import type * as Vkv from '@coppice/vkv'
import type { Dataset } from './dataset.js'
import type { Store } from './store.js'

export interface CoppiceOptions {
  /** Config servers. */
  readonly addresses: readonly string[]
  readonly connect: Pick<Vkv.DbOptions, 'group' | 'token' | 'timeout' | 'maxInFlight' | 'zone'>
  /** Zones of the clerks, one after the other, from the beginning again when they are used up; none: all are as `connect` says. */
  readonly zones?: readonly string[] | undefined
  /** The SDK to measure, when it is not this checkout's: URL of its module. */
  readonly sdk?: string | undefined
}

export async function openStore(
  { addresses, connect: options, zones = [], sdk = '@coppice/vkv' }: CoppiceOptions,
  dataset: Dataset,
  clerk: number,
): Promise<Store> {
  const { connect } = (await import(sdk)) as typeof Vkv
  const zoned = zones.length === 0 ? options : { ...options, zone: zones[clerk % zones.length] }
  return new CoppiceStore(await connect(addresses, zoned), dataset)
}

class CoppiceStore implements Store {
  readonly #db: Vkv.Db
  readonly #kv: Vkv.Db['kv']['bytes']
  readonly #dataset: Dataset

  constructor(db: Vkv.Db, dataset: Dataset) {
    this.#db = db
    this.#kv = db.kv.bytes
    this.#dataset = dataset
  }

  put(key: number): Promise<unknown> {
    return this.#kv.put(this.#dataset.name(key), this.#dataset.value())
  }

  get(key: number): Promise<unknown> {
    return this.#kv.get(this.#dataset.name(key))
  }

  async present(found: (key: number) => void): Promise<void> {
    for await (const name of this.#db.kv.keys({ prefix: this.#dataset.prefix })) {
      const key = this.#dataset.keyOf(name)
      if (key !== undefined) found(key)
    }
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
