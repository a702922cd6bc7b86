// What an attempt at a new epoch is made of (PROTOCOL 2): its plan, what it yields, what it is resumed with, and the loop that says
// something again until it is answered. An attempt is a generator: the controller resumes it with messages, chosen values and time.
import type {
  Ballot,
  Cause,
  ConfigState,
  ConfigToReplica,
  Millis,
  NodeId,
  ReplicaToConfig,
  ServerEntry,
} from '@coppice/protocol'
import { assert } from '@coppice/protocol'
import type { Detector } from '../detector.js'
import type { Leases } from '../leases.js'
import type { Pauses } from '../pauses.js'
import type { Mutate } from '../register/proposer.js'

export interface AttemptPlan {
  readonly cause: Cause
  /** Plain words: who asked or which member failed. */
  readonly detail: string
  /** Members it aims at, primary first. */
  readonly next: readonly NodeId[]
  /** Fewest members it may go on with; less than next.length only in a failover. */
  readonly least: number
  /** The group runs: new members learn before anything is stopped, and the epoch is drained before it is sealed. */
  readonly planned: boolean
  /** Members the group should have from then on. */
  readonly wanted: number
  /** The operator's request it carries out; its result is chosen together with the activation. */
  readonly adminId?: string
}

export type AttemptResult =
  | { readonly kind: 'activated'; readonly state: ConfigState }
  | {
      readonly kind: 'abandoned'
      readonly reason: string
      /** Servers to leave out of the next attempt. */
      readonly failed: readonly NodeId[]
      /** A failover had to go first; the plan itself may still be good. */
      readonly overtaken: boolean
    }

/** Abandons: the next attempt leaves `failed` out. */
export function abandoned(
  reason: string,
  failed: readonly NodeId[] = [],
  overtaken = false,
): AttemptResult & { kind: 'abandoned' } {
  return { kind: 'abandoned', reason, failed, overtaken }
}

/** What an attempt waits for. */
export type AttemptWait =
  /** A new value of the register, made of the newest; resumed with `chosen`. */
  | { readonly kind: 'update'; readonly mutate: Mutate }
  /** Any message, or the time `until`. */
  | { readonly kind: 'input'; readonly until: Millis }

export type AttemptInput =
  | { readonly kind: 'chosen'; readonly value: ConfigState | undefined }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: ReplicaToConfig }
  | { readonly kind: 'time' }

export type Step<T> = Generator<AttemptWait, T, AttemptInput>

export type Stage = 'reserve' | 'prepare' | 'drain' | 'seal' | 'enter' | 'relinquish' | 'activate'

/** What an attempt sees of its leader. */
export interface AttemptEnv {
  readonly now: Millis
  readonly ballot: Ballot
  readonly detector: Detector
  readonly leases: Leases
  readonly pauses: Pauses
  send(to: NodeId, message: ConfigToReplica): void
  /** The attempt reached a stage; reported, and shown in `view`. */
  stage(stage: Stage, fields: Readonly<Record<string, unknown>>): void
  /** A member of prev turned out to lack what it had. */
  lostData(id: NodeId): void
  /** While the old epoch should still run: why it does not any more. */
  interrupted(): string | undefined
}

/** Proposes and waits until the value is chosen; never gives up by itself (a step-down drops the attempt). */
export function* choose(mutate: Mutate): Step<ConfigState | undefined> {
  let input = yield { kind: 'update', mutate }
  while (input.kind !== 'chosen') input = yield { kind: 'input', until: Infinity }
  return input.value
}

export interface Repeated {
  readonly everyMs: number
  /** What is still unanswered: said now and every `everyMs`. */
  readonly pending: () => Iterable<readonly [NodeId, ConfigToReplica]>
  readonly onMessage: (from: NodeId, message: ReplicaToConfig) => void
  /** Looked at after every input; also when `wakeAt` was reached. */
  readonly finished: () => boolean
  readonly wakeAt: () => Millis
}

/** Says what is pending again and again until finished: any message may be lost. */
export function* repeatUntil(env: AttemptEnv, r: Repeated): Step<void> {
  let sayAt = env.now
  while (!r.finished()) {
    if (env.now >= sayAt) {
      for (const [to, message] of r.pending()) env.send(to, message)
      sayAt = env.now + r.everyMs
    }
    const wakeAt = r.wakeAt()
    const input = yield { kind: 'input', until: wakeAt > env.now ? Math.min(sayAt, wakeAt) : sayAt }
    if (input.kind === 'message') r.onMessage(input.from, input.message)
  }
}

/** The registered entry of a server; every id in a plan has one. */
export function entryOf(state: ConfigState, id: NodeId): ServerEntry {
  const entry = state.servers.find((s) => s.id === id)
  assert(entry !== undefined, `server ${id} of group ${state.group} is registered`)
  return entry
}
