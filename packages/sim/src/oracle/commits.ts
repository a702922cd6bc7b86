// What is committed, judged by disks alone: every member of the epoch has it (I8). The committed records form one chain, kept here; every
// later epoch must contain it (I3), and the ledger reads it once.
import { epochAt, GENESIS_LINEAGE, readRecordHeader } from '@coppice/protocol'
import type { BytesPort, ConfigState, Epoch, Index, LineageEntry } from '@coppice/protocol'
import type { ReplicaMeta } from '@coppice/replica'
import type { ReplicaStore } from '../hosts/replica-store.js'
import { check } from '../kernel/violation.js'
import { changesOf } from './changes.js'
import type { TrueChange } from './changes.js'
import type { Ledger } from './ledger.js'
import type { Registers } from './registers.js'

export class Commits {
  readonly #registers: Registers
  readonly #ledger: Ledger
  readonly #stores: ReadonlyMap<string, ReplicaStore>
  /** All below is committed and read into the ledger. */
  chainEnd: Index = 1
  /** Epoch of the last committed entry. */
  chainEpoch: Epoch = 0
  /** First index of each committed record, and its epoch, ascending. */
  readonly #chain: { firstIndex: Index; epoch: Epoch }[] = []
  /** The committed records themselves. */
  readonly #records: Uint8Array[] = []
  /** Highest index committed in each epoch, with the epoch of the entry below it. */
  readonly #tops = new Map<Epoch, { index: Index; entryEpoch: Epoch }>()
  /** Lowest start with which a store entered each epoch. */
  readonly #starts = new Map<Epoch, Index>()

  constructor(registers: Registers, ledger: Ledger, stores: ReadonlyMap<string, ReplicaStore>) {
    this.#registers = registers
    this.#ledger = ledger
    this.#stores = stores
  }

  /** Epoch `value.epoch` was chosen: every member has entered it durably, and what lies below its start is committed. */
  activated(value: ConfigState): void {
    for (const store of this.#storesOf(value)) {
      const { meta } = store
      check(meta.epoch === value.epoch && meta.checkpointId === value.checkpointId, 'I3', () => {
        return `epoch ${value.epoch} is active, but member ${meta.id} is in epoch ${meta.epoch} (${meta.checkpointId})`
      })
    }
    this.committed('the activation', value.epoch, value.start)
  }

  /** Somebody holds that everything below `index` is committed in `epoch`. */
  committed(who: string, epoch: Epoch, index: Index): void {
    if (index <= 1 || index <= (this.#tops.get(epoch)?.index ?? 0)) return
    const value = this.#registers.activations.get(epoch)
    if (value === undefined) {
      // Entered, not active yet: what it knows committed was committed before.
      check(index <= this.chainEnd, 'I8', () => `${who}: ${index} committed in epoch ${epoch}, which was never active`)
      return
    }
    for (const store of this.#storesOf(value)) {
      check(store.end >= index, 'I8', () => {
        return `${who}: ${index} committed in epoch ${epoch}, but member ${store.meta.id} has ${store.end} on disk`
      })
    }
    this.#extend(value, index)
    const entryEpoch = this.#epochBefore(index)
    this.#tops.set(epoch, { index, entryEpoch })
    for (const [later, start] of this.#starts) {
      check(later <= epoch || start >= index, 'I3', () => {
        return `${who}: ${index} committed in epoch ${epoch}, but epoch ${later} was entered at ${start}`
      })
    }
  }

  /** A store entered an epoch: it holds all that was committed before that epoch. */
  entered(meta: ReplicaMeta, end: Index): void {
    check(
      end === meta.start,
      'I3',
      () => `${meta.id} entered epoch ${meta.epoch} at ${meta.start} with a log up to ${end}`,
    )
    this.#starts.set(meta.epoch, Math.min(meta.start, this.#starts.get(meta.epoch) ?? Infinity))
    for (const [epoch, top] of this.#tops) {
      if (epoch >= meta.epoch) continue
      check(meta.start >= top.index, 'I3', () => {
        return `${meta.id} entered epoch ${meta.epoch} at ${meta.start}, below ${top.index} committed in epoch ${epoch}`
      })
      const own = epochAt(meta.lineage, top.index - 1)
      check(own === top.entryEpoch, 'I3', () => {
        return `${meta.id} entered epoch ${meta.epoch} with entry ${top.index - 1} of epoch ${own}; committed is that of epoch ${top.entryEpoch}`
      })
    }
  }

  /** Whether everything below `index`, whose last entry is of `entryEpoch`, is committed, in whatever epoch. */
  isCommitted(index: Index, entryEpoch: Epoch): boolean {
    return index <= this.chainEnd && this.#epochBefore(index) === entryEpoch
  }

  /** What the committed log changed, as a machine of its own finds that applies it once more. */
  changes(bytes: BytesPort): readonly TrueChange[] {
    const lineage: LineageEntry[] = [...GENESIS_LINEAGE]
    for (const { firstIndex, epoch } of this.#chain) if (lineage.at(-1)![0] < epoch) lineage.push([epoch, firstIndex])
    return changesOf(this.#records, lineage, bytes)
  }

  #storesOf(value: ConfigState): ReplicaStore[] {
    const stores: ReplicaStore[] = []
    for (const id of value.members) {
      const entry = value.servers.find((s) => s.id === id)
      const store = entry === undefined ? undefined : this.#stores.get(entry.storeId)
      if (store !== undefined && !store.destroyed) stores.push(store)
    }
    return stores
  }

  #extend(value: ConfigState, index: Index): void {
    if (index <= this.chainEnd) return
    const source = this.#storesOf(value).find(
      (s) => s.records[s.positionOf(this.chainEnd)]?.firstIndex === this.chainEnd,
    )
    check(
      source !== undefined,
      'I3',
      () => `committed records from ${this.chainEnd} to ${index} are in no member's log`,
    )
    for (let at = source!.positionOf(this.chainEnd); this.chainEnd < index; at++) {
      const record = source!.records[at]!
      const { epoch } = readRecordHeader(record.bytes)
      check(
        epoch >= this.chainEpoch,
        'I2',
        () => `entry ${record.firstIndex} of epoch ${epoch} follows epoch ${this.chainEpoch}`,
      )
      this.#chain.push({ firstIndex: record.firstIndex, epoch })
      this.#ledger.commit(record.bytes)
      this.#records.push(record.bytes.slice())
      this.chainEpoch = epoch
      this.chainEnd = record.firstIndex + record.entries
    }
  }

  #epochBefore(index: Index): Epoch {
    for (let i = this.#chain.length - 1; i >= 0; i--)
      if (this.#chain[i]!.firstIndex < index) return this.#chain[i]!.epoch
    return 0
  }
}
