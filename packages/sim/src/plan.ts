// Everything a run's seed decides before it begins: the machines, their speeds, how messages travel, which faults may happen.
import { DEFAULT_ELECTION, DEFAULT_PARAMS } from '@coppice/protocol'
import type { ElectionParams, Params } from '@coppice/protocol'
import type { PassMode } from './kernel/by-value.js'
import type { Prng } from './kernel/prng.js'
import { FAULTS } from './nemesis.js'
import type { Fault } from './nemesis.js'
import { QUICK_AFFINITY } from './zones.js'

/** Everything a seed decides before a run begins. */
export interface Plan {
  readonly configServers: number
  readonly wanted: number
  readonly spares: number
  readonly clients: number
  readonly params: Params
  readonly election: ElectionParams
  readonly passMode: PassMode
  readonly poison: boolean
  readonly fifo: boolean
  readonly acrossRestarts: boolean
  readonly latencyMs: number
  readonly diskMs: number
  readonly snapshotEveryBytes: number
  readonly minLogBytesKept: number
  /** Faults happen from here on, … */
  readonly faultsFromMs: number
  /** … and until here, when everything heals. */
  readonly healMs: number
  /** Mean time between faults. */
  readonly faultEveryMs: number
  readonly faults: readonly Fault[]
  /** Pause between the calls of one client, ms. */
  readonly thinkMs: number
  /** How likely it is a long silence instead: sessions expire only when nobody uses them. */
  readonly silences: number
  readonly keys: number
  readonly bank: boolean
  readonly locks: boolean
  readonly cache: boolean
  readonly txns: boolean
  /** Clients watch keys; what each is told is compared with the committed log. */
  readonly watchers: boolean
  /** Bytes of changes that replicas keep for them. */
  readonly changeLogBytes: number
  /** Keys with a ttl, sessions, idempotency keys. */
  readonly endings: boolean
  /** Somebody compares the states of all members at one index. */
  readonly verifier: boolean
  /** Replicas and clients stand in zones, most load comes from one of them, now from this and now from that, and the primary follows. */
  readonly zoned: boolean
}

/** Bound of I10: what is pending when everything is healed is answered within this, ms. */
export const ANSWER_BOUND_MS = 15_000

export function planOf(random: Prng): Plan {
  const faults = FAULTS.filter(() => random.chance(0.6))
  const passMode: PassMode = random.chance(0.08) ? 'codec' : random.chance(0.2) ? 'freeze' : 'share'
  const params: Params = {
    ...DEFAULT_PARAMS,
    leaseReads: random.chance(0.88),
    clerkTtlMs: random.chance(0.3) ? 2_500 : DEFAULT_PARAMS.clerkTtlMs,
  }
  const plan = {
    configServers: 3,
    wanted: 3,
    spares: random.chance(0.6) ? 1 : 2,
    clients: 3 + random.int(3),
    params,
    election: DEFAULT_ELECTION,
    passMode,
    poison: random.chance(0.3),
    fifo: random.chance(0.5),
    acrossRestarts: random.chance(0.3),
    latencyMs: random.pick([0.15, 0.4, 1, 2.5]),
    diskMs: random.pick([0.3, 0.8, 2.5]),
    snapshotEveryBytes: random.pick([1_500, 6_000, 40_000]),
    minLogBytesKept: random.pick([0, 2_000, 64_000]),
    faultsFromMs: random.between(1_200, 2_500),
    healMs: random.between(5_500, 10_000),
    faultEveryMs: random.pick([350, 800, 1_600]),
    faults: faults.length === 0 ? FAULTS : faults,
    thinkMs: random.pick([20, 50, 100]),
    silences: 0.01,
    keys: 2 + random.int(4),
    bank: random.chance(0.1),
    locks: random.chance(0.08),
    cache: random.chance(0.1),
  }
  const zoned = random.chance(0.2)
  const txns = random.chance(0.15)
  const watchers = random.chance(0.4)
  const changeLogBytes = random.pick([3_000, 20_000, 1_000_000])
  const endings = random.chance(0.12)
  const verifier = random.chance(0.3)
  return {
    ...plan,
    zoned,
    txns,
    watchers,
    changeLogBytes,
    endings,
    verifier,
    params: zoned ? { ...params, affinity: QUICK_AFFINITY } : params,
  }
}
