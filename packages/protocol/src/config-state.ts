// The value of a group's Paxos register (PROTOCOL 1): the whole of what the config service knows about the group.
import { z } from 'zod'
import { MAX_MEMBERS, MAX_ZONE_CHARS } from './limits.js'
import { paramsSchema } from './params.js'

/** The zod schema of a `NodeId`. */
export const nodeIdSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/)
const index = z.number().int().min(0)

/** The zod schema of a `ServerEntry`. */
export const serverSchema = z.strictObject({
  id: nodeIdSchema,
  storeId: z.string().min(1).max(64),
  /** host:port of its WebSocket server. */
  address: z.string().min(1).max(255),
  /** Where it stands: a data centre, a rack. */
  zone: z.string().max(MAX_ZONE_CHARS).optional(),
})
/** A replica server that registered: member, spare or learner. */
export type ServerEntry = z.infer<typeof serverSchema>

/** The zod schema of a `ConfigServerEntry`. */
export const configServerSchema = z.strictObject({
  id: nodeIdSchema,
  /** Store that may vote under this id; a server with the id and another store has lost its memory and does not count. */
  storeId: z.string().min(1).max(64),
  address: z.string().min(1).max(255),
})
/** A config server with a vote, under the store it answered with. */
export type ConfigServerEntry = z.infer<typeof configServerSchema>
/** A change of the config servers, as an operator asks for it: add, then remove. */
export const configServerChangeSchema = z.strictObject({
  add: z.strictObject({ id: nodeIdSchema, address: z.string().min(1).max(255) }).nullable(),
  remove: nodeIdSchema.nullable(),
})
/** A change of the config servers, as an operator asks for it: add, then remove. */
export type ConfigServerChange = z.infer<typeof configServerChangeSchema>

/** Why an epoch was begun. */
export const causeSchema = z.enum(['bootstrap', 'failover', 'restore', 'operator', 'leave', 'affinity'])
/** Why an epoch was begun. */
export type Cause = z.infer<typeof causeSchema>

export const catchUpSchema = z.strictObject({
  id: nodeIdSchema,
  how: z.enum(['none', 'delta', 'full']),
  /** Shipped to it, before the seal and after. */
  bytes: index,
  /** How long that took, ms. */
  ms: z.number().min(0).default(0),
  /** Those of `bytes` that LEARN shipped while the old epoch ran. */
  learnedBytes: index.default(0),
})
/** How one member came to the start of an epoch. Times are by the leader's clock. */
export type CatchUp = z.infer<typeof catchUpSchema>

export const epochSummarySchema = z.strictObject({
  epoch: index,
  members: z.array(nodeIdSchema),
  start: index,
  cause: causeSchema,
  /** Plain words: who asked or which member was found failed. */
  detail: z.string().max(500),
  catchUp: z.array(catchUpSchema),
  /**
   * From when the epoch before admitted (after a drain) or could commit nothing more until the primary of this one could admit, by the leader's clock, ms. null: not
   * known yet, or never, because the leader or the epoch ended before.
   */
  writePauseMs: z.number().min(0).nullable(),
  /** The part of it in which no member held a lease: from the last member of the old epoch that gave up its own until the first new grant. */
  readPauseMs: z.number().min(0).nullable().default(null),
})
/** One line of `coppice epochs`. The newest 64 are kept in the register. */
export type EpochSummary = z.infer<typeof epochSummarySchema>

export const adminResultSchema = z.strictObject({
  requestId: z.string().max(64),
  ok: z.boolean(),
  message: z.string().max(2000),
  epoch: index,
})
/** The answer to an operator's request, kept so that a repeated request gets it again. */
export type AdminResult = z.infer<typeof adminResultSchema>

export const configStateSchema = z.strictObject({
  clusterId: z.string().min(1).max(64),
  group: nodeIdSchema,
  /** Grows by one with every chosen value. 0: nothing chosen yet. */
  version: index,
  /** The active epoch; 0 before bootstrap. */
  epoch: index,
  /** Members of `epoch`, primary first. */
  members: z.array(nodeIdSchema),
  /** First index of `epoch`. */
  start: index,
  /** checkpointId with which `epoch` was entered; '' for epoch 0. */
  checkpointId: z.string().max(64),
  /** Highest epoch number handed to an attempt. */
  reservedEpoch: index,
  /** How many members the group should have. */
  wanted: z.number().int().min(1).max(MAX_MEMBERS),
  servers: z.array(serverSchema),
  /** In `main` the config servers whose votes count for every group (P6); in other groups a copy of that, for their replicas and clerks. */
  configServers: z.array(configServerSchema),
  /** Ids that were config servers of this cluster and are no longer; an id is never used again. Only in `main`. */
  formerConfigServers: z.array(nodeIdSchema).default([]),
  params: paramsSchema,
  adminResults: z.array(adminResultSchema),
  history: z.array(epochSummarySchema),
})
/** The value of a group's register: all that the config service knows of the group. */
export type ConfigState = z.infer<typeof configStateSchema>

/** What replicas and clerks need of it, carried by grants, activations and config answers. */
export const configurationSchema = z.strictObject({
  clusterId: z.string().min(1).max(64),
  group: nodeIdSchema,
  version: index,
  epoch: index,
  members: z.array(nodeIdSchema),
  start: index,
  checkpointId: z.string().max(64),
  servers: z.array(serverSchema),
  configServers: z.array(configServerSchema),
  params: paramsSchema,
})
/** What replicas and clerks need of it, carried by grants, activations and config answers. */
export type Configuration = z.infer<typeof configurationSchema>

/** The part of a register's value that others are told. */
export function configurationOf(s: ConfigState): Configuration {
  const { clusterId, group, version, epoch, members, start, checkpointId, servers, configServers, params } = s
  return { clusterId, group, version, epoch, members, start, checkpointId, servers, configServers, params }
}
