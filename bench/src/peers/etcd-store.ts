// etcd through etcd3, whose requests go to the members in turn. Its generated calls are used, which measured a little faster than its
// builders; reads are linearizable by default.
import type { Dataset, Store } from '@coppice/cli/bench'
import { requireClient } from './clients.js'

interface Etcd {
  readonly kv: {
    put(request: { key: Buffer; value: Buffer }): Promise<unknown>
    range(request: { key: Buffer }): Promise<{ kvs: readonly { value: Buffer }[] }>
  }
  close(): void
}
interface Etcd3Module {
  readonly Etcd3: new (options: { hosts: readonly string[] }) => Etcd
}

export async function openStore({ hosts }: { readonly hosts: readonly string[] }, dataset: Dataset): Promise<Store> {
  const { Etcd3: Client } = requireClient<Etcd3Module>('etcd3')
  const etcd = new Client({ hosts })
  return {
    put: (key) => etcd.kv.put({ key: Buffer.from(dataset.name(key)), value: dataset.value() as Buffer }),
    async get(key) {
      const { kvs } = await etcd.kv.range({ key: Buffer.from(dataset.name(key)) })
      return kvs[0]?.value
    },
    close() {
      etcd.close()
      return Promise.resolve()
    },
  }
}
