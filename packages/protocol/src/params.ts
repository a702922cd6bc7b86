// Timing parameters of a group (PROTOCOL 2, 3), chosen at bootstrap and kept in its configuration, so that every node
// uses the same. The relations that safety and liveness need are asserted where they are made.
import { z } from 'zod'

/** Whether, and how reluctantly, the primary follows the zone that most writes come from. */
export const affinitySchema = z.strictObject({
  mode: z.enum(['off', 'auto']),
  /** For so long a zone must have the most writes before it gets the primary, ms. */
  windowMs: z.number().positive(),
  /** From one such hand-over to the next at the least, ms. */
  pauseMs: z.number().positive(),
  /** For so long the primary that an operator chose stays where it is, ms. */
  operatorMs: z.number().positive(),
})
export type Affinity = z.infer<typeof affinitySchema>
/** Off until an operator turns it on. */
export const DEFAULT_AFFINITY: Affinity = { mode: 'off', windowMs: 30_000, pauseMs: 60_000, operatorMs: 600_000 }

export const paramsSchema = z.strictObject({
  /** ρ: bound on the drift of any monotonic clock against real time (A1). */
  drift: z.number().min(0).max(0.2),
  /** D: how long the granter counts a lease, ms. */
  leaseMs: z.number().positive(),
  /** A replica asks for a new lease every so often, ms (± 20 %). */
  renewMs: z.number().positive(),
  /** T_fail: silence, or a stuck disk, after which a member is replaced, ms. */
  failMs: z.number().positive(),
  /** Longest wait for seal answers of members not known dead, ms. */
  sealWaitMs: z.number().positive(),
  /** Whether reads may rely on leases; without it every read pings or goes through the log. */
  leaseReads: z.boolean(),
  /** Fewest members an automatic reconfiguration may leave; null: a majority of wanted. */
  minReplicas: z.number().int().min(1).nullable(),
  /** A clerk idle longer than this by the log's elapsed time is removed, ms. */
  clerkTtlMs: z.number().positive(),
  affinity: affinitySchema.default(DEFAULT_AFFINITY),
})
/** Timing of a group, the same at all its servers; `paramsProblem` says what cannot work together. */
export type Params = z.infer<typeof paramsSchema>

/** Timing of a group whose operator says nothing. */
export const DEFAULT_PARAMS: Params = {
  drift: 0.05,
  leaseMs: 800,
  renewMs: 200,
  failMs: 1_000,
  sealWaitMs: 50,
  leaseReads: true,
  minReplicas: null,
  clerkTtlMs: 600_000,
  affinity: DEFAULT_AFFINITY,
}

/** D_r: how long the holder counts a lease (L4): D (1−ρ)/(1+ρ). */
export function holderLeaseMs(params: Params): number {
  return (params.leaseMs * (1 - params.drift)) / (1 + params.drift)
}

/** Why these parameters cannot work together, or undefined. */
export function paramsProblem(p: Params): string | undefined {
  if (p.failMs < p.leaseMs) return `failMs (${p.failMs}) must be at least leaseMs (${p.leaseMs})`
  if (p.renewMs * 1.2 * 2 > holderLeaseMs(p)) return `renewMs (${p.renewMs}) must leave two renewals in a lease`
  if (p.sealWaitMs >= p.failMs) return `sealWaitMs (${p.sealWaitMs}) must be below failMs (${p.failMs})`
  return undefined
}

/** Timing of the config service's own election (P5); the same on every config server. */
export const electionSchema = z.strictObject({
  heartbeatMs: z.number().positive(),
  /** Without a confirmed round for so long a leader steps down, ms. */
  stepDownMs: z.number().positive(),
  /** Randomised election timeout: between this and twice this, ms. */
  timeoutMs: z.number().positive(),
})
/** Timing of the config service's own election (P5); the same on every config server. */
export type ElectionParams = z.infer<typeof electionSchema>
/** Timing of the config service's election by default. */
export const DEFAULT_ELECTION: ElectionParams = { heartbeatMs: 100, stepDownMs: 700, timeoutMs: 700 }
