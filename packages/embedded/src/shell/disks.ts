// The disks of a cluster: in memory, or directories with the stores of production.
import { join } from 'node:path'
import { openRegisterStore, type RegisterStore } from '@coppice/configsvc/server'
import { ZERO_BALLOT } from '@coppice/configsvc'
import { DEFAULT_GROUP, type NodeId } from '@coppice/protocol'
import { formatMeta, StoreContent } from '@coppice/replica'
import { openReplicaStore, type ReplicaStorage } from '@coppice/replica/server'
import { randomId } from '@coppice/runtime'
import { MemoryRegister, type RegisterContent } from './memory-register.js'
import { MemoryStore } from './memory-store.js'

export interface Disks {
  /** Directory of a server; undefined: in memory. */
  dirOf(id: NodeId): string | undefined
  /** What the last process of this name left there, or a fresh store. */
  openReplica(id: NodeId): Promise<ReplicaStorage>
  openRegister(id: NodeId): Promise<RegisterStore>
}

export function disksIn(storage: string): Disks {
  return storage === 'memory' ? new MemoryDisks() : new DirectoryDisks(storage)
}

class MemoryDisks implements Disks {
  private readonly contentById = new Map<NodeId, StoreContent>()
  private readonly registerById = new Map<NodeId, RegisterContent>()

  dirOf(): undefined {
    return undefined
  }

  async openReplica(id: NodeId): Promise<ReplicaStorage> {
    let content = this.contentById.get(id)
    if (content === undefined) {
      content = new StoreContent(formatMeta({ id, group: DEFAULT_GROUP, storeId: randomId() }))
      this.contentById.set(id, content)
    }
    return new MemoryStore(content)
  }

  async openRegister(id: NodeId): Promise<RegisterStore> {
    let content = this.registerById.get(id)
    if (content === undefined) {
      content = { register: { storeId: randomId(), promised: ZERO_BALLOT, accepted: [] } }
      this.registerById.set(id, content)
    }
    return new MemoryRegister(content)
  }
}

class DirectoryDisks implements Disks {
  private readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  dirOf(id: NodeId): string {
    return join(this.dir, id)
  }

  openReplica(id: NodeId): Promise<ReplicaStorage> {
    return openReplicaStore(this.dirOf(id), { id, group: DEFAULT_GROUP })
  }

  openRegister(id: NodeId): Promise<RegisterStore> {
    return openRegisterStore(this.dirOf(id), id)
  }
}
