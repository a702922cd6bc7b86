// The durable marks of a store (PROTOCOL 2): how they begin.
import { GENESIS_LINEAGE } from '@coppice/protocol'
import type { GroupName, NodeId, StoreId } from '@coppice/protocol'
import type { ReplicaMeta } from './io.js'

/** Marks of a freshly formatted store: epoch 0, the genesis entry, nothing promised (P7). */
export function formatMeta(o: { id: NodeId; group: GroupName; storeId: StoreId }): ReplicaMeta {
  return {
    clusterId: '',
    group: o.group,
    id: o.id,
    storeId: o.storeId,
    epoch: 0,
    checkpointId: '',
    start: 0,
    sealedFor: 0,
    claim: 0,
    lineage: GENESIS_LINEAGE,
  }
}
