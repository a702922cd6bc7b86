// What a replica says about itself to the command and to tests.
import type { ProcessStatus } from '@coppice/protocol'
import type { Lease } from './lease.js'
import type { Shared } from './shared.js'

export function statusOf(s: Shared, lease: Lease): ProcessStatus {
  const left = lease.left(s.now)
  const role = s.leading ? 'primary' : s.activated ? 'backup' : 'spare'
  return {
    id: s.options.id,
    group: s.meta.group,
    role,
    pid: s.options.pid,
    uptimeMs: Math.floor(s.now - s.options.startedAt),
    address: s.options.address,
    epoch: s.meta.epoch,
    nextIndex: s.log.nextIndex,
    commitIndex: s.commitIndex,
    durableIndex: s.disk.durableIndex,
    lease: left > 0 ? Math.round(left) : 'none',
    sealedFor: s.meta.sealedFor,
    base: s.log.base,
    logBytes: s.log.bytesKept,
    fullBytes: s.log.snapshotBytes + s.log.bytesSinceSnapshot,
    note: noteOf(s),
    version: s.options.version,
  }
}

function noteOf(s: Shared): string {
  if (s.reloading) return 'rebuilding its state from disk'
  if (s.stateless) return 'rebuilding its state from a snapshot on its way here'
  if (s.leaving) return 'waits until the group goes on without it'
  if (s.sealed) return `sealed for epoch ${s.meta.sealedFor}`
  if (s.draining) return `draining for epoch ${s.drain!.epoch}, whose primary is ${s.drain!.target}`
  if (s.activated && !s.leading && s.primary === s.options.id) {
    return s.recovered.meta.claim === s.meta.epoch ? 'restarted primary: waits for the next epoch' : 'becoming primary'
  }
  return ''
}
