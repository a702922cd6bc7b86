// Control messages: everything that is not an operation or a read. JSON on the wire, checked by zod at the receiver; rare enough
// that clarity beats speed. Who sends what, by section: config <-> config (PROTOCOL 1), replica <-> config (2, 3),
// replica <-> replica (transfers, 5), client <-> server.
import { z } from 'zod'
import {
  adminResultSchema,
  configServerChangeSchema,
  configServerSchema,
  configStateSchema,
  configurationSchema,
  nodeIdSchema,
  serverSchema,
} from '../config-state.js'
import { MAX_MEMBERS, MAX_ZONE_CHARS } from '../limits.js'
import { affinitySchema } from '../params.js'

const index = z.number().int().min(0)
const text = z.string().max(2000)
const tag = z.string().max(64)
const group = nodeIdSchema
/** One element for each epoch that wrote something, over the whole life of a group. */
const lineage = z.array(z.tuple([index, index])).max(100_000)

/** (round, nodeId): ordered by round, then by nodeId. {0, ''} is below every real ballot. */
export const ballotSchema = z.strictObject({ round: index, node: z.string().max(64) })
/** An attempt at the register, ordered by round, then by node. */
export type Ballot = z.infer<typeof ballotSchema>

/** What an acceptor holds of one group's register. */
export const acceptedSchema = z.strictObject({ ballot: ballotSchema, version: index, value: configStateSchema })
/** What an acceptor holds of one group's register. */
export type Accepted = z.infer<typeof acceptedSchema>

// ---- config server -> config server. One ballot spans the registers of all groups; each group has its own accepted value.
/** Where a candidate's newest accepted value of `main` stands, and whose votes it says count; null: it accepted none. */
const standing = z
  .strictObject({ ballot: ballotSchema, version: index, configServers: z.array(configServerSchema) })
  .nullable()
/** Where a candidate's newest accepted value of `main` stands, and whose votes it says count; null: it accepted none. */
export type Standing = z.infer<typeof standing>
const preVote = z.strictObject({ kind: z.literal('preVote'), round: index, standing })
const preVoteReply = z.strictObject({ kind: z.literal('preVoteReply'), round: index, granted: z.boolean() })
const prepare = z.strictObject({ kind: z.literal('prepare'), ballot: ballotSchema, standing })
/** Answer to prepare: accepted values of all groups. `formed`: this store ever accepted anything. */
const promise = z.strictObject({
  kind: z.literal('promise'),
  ballot: ballotSchema,
  formed: z.boolean(),
  address: z.string().max(255),
  accepted: z.array(acceptedSchema),
})
const propose = z.strictObject({
  kind: z.literal('propose'),
  ballot: ballotSchema,
  version: index,
  value: configStateSchema,
})
const accepted = z.strictObject({ kind: z.literal('accepted'), ballot: ballotSchema, group, version: index })
/** Answer to prepare, propose or confirm of a ballot below `promised`. */
const ballotRefused = z.strictObject({ kind: z.literal('ballotRefused'), ballot: ballotSchema, promised: ballotSchema })
/** Leader heartbeat and confirm round (P4). `chosen`: newest chosen version per group, so that followers learn it. */
const confirm = z.strictObject({
  kind: z.literal('confirm'),
  ballot: ballotSchema,
  round: index,
  chosen: z.array(z.tuple([group, index])),
})
/** `missing`: groups whose chosen version this acceptor does not hold; the leader proposes them again. */
const confirmed = z.strictObject({
  kind: z.literal('confirmed'),
  ballot: ballotSchema,
  round: index,
  missing: z.array(group),
})
/** A leader that goes away asks one that holds all that is chosen to stand at once, without waiting until the leader is missed (P5). */
const stand = z.strictObject({ kind: z.literal('stand'), ballot: ballotSchema })
/** A server without a vote asks what is chosen; `known`: the versions it has. */
const askChosen = z.strictObject({ kind: z.literal('askChosen'), known: z.array(z.tuple([group, index])) })
/** Values that are chosen, to a server without a vote: it learns that it was removed, or what it joins. */
const chosen = z.strictObject({
  kind: z.literal('chosen'),
  leader: z.union([nodeIdSchema, z.literal('')]),
  values: z.array(configStateSchema),
})
export const configToConfigSchema = z.discriminatedUnion('kind', [
  preVote,
  preVoteReply,
  prepare,
  promise,
  propose,
  accepted,
  ballotRefused,
  confirm,
  confirmed,
  stand,
  askChosen,
  chosen,
])
/** What config servers say to each other (PROTOCOL 1). */
export type ConfigToConfig = z.infer<typeof configToConfigSchema>

// ---- replica -> config server
/** Why a member asks to be replaced, or to have another replaced. */
const trouble = z.strictObject({
  kind: z.enum(['fsync', 'uncommitted']),
  /** For how long, ms. */
  sinceMs: z.number(),
  /** Members whose acks are missing (the reporter itself for its own fsync). */
  waitingFor: z.array(nodeIdSchema),
})
/** Where an ENTER that followed `epoch` made this store cut its log: what it held above is no loss. */
const cut = z.strictObject({ epoch: index, at: index })
/** Operations of clerks of one zone that the primary admitted since it leads; zones of members only. */
const zoneWrites = z.strictObject({ zone: z.string().min(1).max(MAX_ZONE_CHARS), operations: index })
/** Operations of clerks of one zone that the primary admitted since it leads. */
export type ZoneWrites = z.infer<typeof zoneWrites>
/** Registration, heartbeat and lease request in one; sent every renewMs to the config leader (to all until it is known). */
export const reportSchema = z.strictObject({
  kind: z.literal('report'),
  group,
  server: serverSchema,
  epoch: index,
  checkpointId: tag,
  sealedFor: index,
  /** claim == epoch was durable before this incarnation started: it will never propose in this epoch again. */
  cannotLead: z.boolean(),
  /** Whether this incarnation has learned the activation of its epoch. */
  activated: z.boolean(),
  /** Its claim of `epoch` is durable: it admits operations. Told at once. */
  leading: z.boolean(),
  nextIndex: index,
  durableIndex: index,
  commitIndex: index,
  /** First index its log can ship. */
  base: index,
  cut: cut.optional(),
  digest: tag,
  /** Non-empty: grant me a lease for `epoch` (L1). */
  nonce: tag,
  trouble: trouble.optional(),
  /** Its process is about to end: the group should go on without it, now rather than after T_fail. */
  leaving: z.literal(true).optional(),
  /** Told by a primary now and then, while it should follow its writers. */
  writes: z.array(zoneWrites).max(MAX_MEMBERS).optional(),
  freeDiskBytes: index,
})
/** Registration, heartbeat and lease request of a replica in one. */
export type Report = z.infer<typeof reportSchema>
const sealReply = z.strictObject({
  kind: z.literal('sealReply'),
  group,
  epoch: index, // r, as asked
  ok: z.boolean(),
  /** When not ok, in plain words; amnesia, older, or another attempt got further. */
  reason: text,
  ownEpoch: index,
  sealedFor: index,
  nextIndex: index,
  base: index,
  commitIndex: index,
  lineage,
  cut: cut.optional(),
  digest: tag,
})
const learnReply = z.strictObject({
  kind: z.literal('learnReply'),
  group,
  attempt: tag,
  state: z.enum(['learning', 'ready', 'failed']),
  reason: text,
  nextIndex: index,
  how: z.enum(['none', 'delta', 'full']),
  bytes: index,
})
const enterReply = z.strictObject({
  kind: z.literal('enterReply'),
  group,
  epoch: index,
  checkpointId: tag,
  ok: z.boolean(),
  /** `busy`: installing, ask again. Otherwise a refusal in plain words. */
  busy: z.boolean(),
  reason: text,
  how: z.enum(['none', 'delta', 'full']),
  bytes: index,
  /** Lease request for the epoch entered, answered by the round that activates it. */
  nonce: tag,
})
const relinquished = z.strictObject({ kind: z.literal('relinquished'), group, epoch: index })
/** Answer to drain: nothing is in flight here and nothing more is admitted, so that all seal at the same next. */
const drained = z.strictObject({ kind: z.literal('drained'), group, epoch: index, nextIndex: index })
export const replicaToConfigSchema = z.discriminatedUnion('kind', [
  reportSchema,
  sealReply,
  learnReply,
  enterReply,
  relinquished,
  drained,
])
/** What replicas say to config servers. */
export type ReplicaToConfig = z.infer<typeof replicaToConfigSchema>

// ---- config server -> replica
/** L2: the lease asked for by `nonce` is granted. */
const grant = z.strictObject({
  kind: z.literal('grant'),
  group,
  epoch: index,
  nonce: tag,
  configuration: configurationSchema,
})
/** Answer to a report that grants nothing: who leads, and what is chosen. */
const answer = z.strictObject({
  kind: z.literal('answer'),
  group,
  nonce: tag,
  reason: text,
  leader: z.union([nodeIdSchema, z.literal('')]),
  configuration: configurationSchema.nullable(),
})
/** Activation pushed at once (PROTOCOL 2.7). */
const activate = z.strictObject({ kind: z.literal('activate'), group, configuration: configurationSchema })
const seal = z.strictObject({ kind: z.literal('seal'), group, epoch: index, prev: index })
const learn = z.strictObject({
  kind: z.literal('learn'),
  group,
  attempt: tag,
  /** The epoch that runs meanwhile, whose committed prefix is learned. */
  epoch: index,
  source: serverSchema,
})
const enter = z.strictObject({
  kind: z.literal('enter'),
  group,
  epoch: index,
  prev: index,
  checkpointId: tag,
  start: index,
  /** Lineage of the source up to `start`, without (epoch, start). */
  lineage,
  digest: tag,
  /** Sealed members that can ship [base, start), the source first. Empty for epoch 1: every store is at genesis. */
  sources: z.array(z.strictObject({ server: serverSchema, base: index })),
  /** Members of the new epoch, primary first, with their addresses. */
  members: z.array(serverSchema),
  params: configurationSchema.shape.params,
})
const relinquish = z.strictObject({ kind: z.literal('relinquish'), group, epoch: index })
/** Planned changes only, while `prev` runs: these will be the members of `epoch`, primary first. Nothing is stopped yet. */
const announce = z.strictObject({
  kind: z.literal('announce'),
  group,
  epoch: index,
  prev: index,
  members: z.array(serverSchema),
})
/** Planned changes only: the primary of `prev` admits no more and names the primary of `epoch`, which holds what comes until it leads. */
const drain = z.strictObject({
  kind: z.literal('drain'),
  group,
  epoch: index,
  prev: index,
  members: z.array(serverSchema),
})
/** The attempt at `epoch` was given up: admit again, hold nothing. */
const resume = z.strictObject({ kind: z.literal('resume'), group, epoch: index })
/** To a server that said it is leaving: the group goes on without it, or cannot; there is nothing to wait for. */
const mayLeave = z.strictObject({ kind: z.literal('mayLeave'), group })
export const configToReplicaSchema = z.discriminatedUnion('kind', [
  grant,
  answer,
  activate,
  seal,
  learn,
  enter,
  relinquish,
  announce,
  drain,
  resume,
  mayLeave,
])
/** What config servers say to replicas (PROTOCOL 2, 3). */
export type ConfigToReplica = z.infer<typeof configToReplicaSchema>

// ---- replica -> replica: transfers. The answers that carry bytes are hand-encoded (see messages/transfer.ts).
const fetchLog = z.strictObject({
  kind: z.literal('fetchLog'),
  group,
  token: index,
  from: index,
  /** Epoch of entry from − 1: the source ships only if its own log agrees there. */
  fromEpoch: index,
  /** Exclusive end; shipped no further than this. */
  to: index,
  /** True: ship only what is committed (learning while the epoch runs). */
  committedOnly: z.boolean(),
})
const fetchSnapshot = z.strictObject({
  kind: z.literal('fetchSnapshot'),
  group,
  token: index,
  /** '' asks for the newest usable one. */
  snapshotId: tag,
  chunk: index,
})
const fetchRefused = z.strictObject({
  kind: z.literal('fetchRefused'),
  group,
  token: index,
  /** onItsWay: asked for again, while the answer is still being read or sent. */
  reason: z.enum(['compacted', 'mismatch', 'noSnapshot', 'notServing', 'onItsWay']),
})
/** The primary takes the hash of its state at this index; a member that gets there takes its own. */
const hashAt = z.strictObject({ kind: z.literal('hashAt'), group, epoch: index, index })
export const replicaToReplicaControlSchema = z.discriminatedUnion('kind', [
  fetchLog,
  fetchSnapshot,
  fetchRefused,
  hashAt,
])
/** Requests of a transfer between replicas (PROTOCOL 5), and for a hash (I9). */
export type ReplicaToReplicaControl = z.infer<typeof replicaToReplicaControlSchema>

// ---- client -> any server, and answers
const statusRequest = z.strictObject({ kind: z.literal('status'), requestId: index })
export const processStatusSchema = z.strictObject({
  id: nodeIdSchema,
  group,
  role: z.enum(['configsvc', 'leader', 'primary', 'backup', 'spare']),
  pid: index,
  /** Since its process started, ms: after a restart it is less than before, also where pids are alike (containers). */
  uptimeMs: index,
  address: z.string(),
  epoch: index,
  nextIndex: index,
  commitIndex: index,
  durableIndex: index,
  /** `none`, or the milliseconds it still holds. */
  lease: z.union([z.literal('none'), z.number()]),
  sealedFor: index,
  /** First index its log can ship, and the bytes from there on; what a copy of its state and the log behind it would ship. */
  base: index,
  logBytes: index,
  fullBytes: index,
  /** Plain words about anything an operator should know; '' when all is well. */
  note: text,
  version: z.string(),
})
/** How one server is: a line of `coppice status`. */
export type ProcessStatus = z.infer<typeof processStatusSchema>
const statusAnswer = z.strictObject({ kind: z.literal('statusAnswer'), requestId: index, status: processStatusSchema })

/** State hash of a member, for comparing members at one index (I9). `index` 0: the primary chooses one, and all members take theirs there. */
const hashRequest = z.strictObject({ kind: z.literal('hash'), requestId: index, index })
/** `index`: of what is said. Of a hash that was begun it is said again and again until the hash is `done`. */
const hashAnswer = z.strictObject({
  kind: z.literal('hashAnswer'),
  requestId: index,
  index,
  /** `missed`: this server has taken no hash at that index. `notPrimary`: it cannot choose one. */
  state: z.enum(['running', 'done', 'missed', 'notPrimary']),
  hash: z.string(),
})

const getConfig = z.strictObject({ kind: z.literal('getConfig'), requestId: index, group })
const config = z.strictObject({
  kind: z.literal('config'),
  requestId: index,
  leader: z.union([nodeIdSchema, z.literal('')]),
  /** null: this server knows no such group (yet). */
  configuration: configurationSchema.nullable(),
})
/** The whole register of a group, from the leader or the newest this server learned. */
const getGroup = z.strictObject({ kind: z.literal('getGroup'), requestId: index, group })
const groupAnswer = z.strictObject({
  kind: z.literal('groupAnswer'),
  requestId: index,
  leader: z.union([nodeIdSchema, z.literal('')]),
  state: configStateSchema.nullable(),
})
const admin = z.strictObject({
  kind: z.literal('admin'),
  requestId: index,
  /** Unique name of this request across retries. */
  adminId: tag,
  group,
  /** Members of the next epoch, primary first; of a hand-over only its primary, the members stay. */
  to: z.array(nodeIdSchema).max(MAX_MEMBERS),
  handover: z.literal(true).optional(),
  /** Instead of a change of members, with `to` empty: whether the primary follows its writers from now on. */
  affinity: affinitySchema.shape.mode.optional(),
})
/** P6: one config server in or out, or one in and then one out; answered like `admin`. */
const changeConfigServers = z.strictObject({
  kind: z.literal('changeConfigServers'),
  requestId: index,
  adminId: tag,
  change: configServerChangeSchema,
})
const adminAnswer = z.strictObject({
  kind: z.literal('adminAnswer'),
  requestId: index,
  leader: z.union([nodeIdSchema, z.literal('')]),
  /** null: this server does not lead; ask `leader`. */
  result: adminResultSchema.nullable(),
})
export const clientToConfigSchema = z.discriminatedUnion('kind', [
  statusRequest,
  getConfig,
  getGroup,
  admin,
  changeConfigServers,
])
/** What clients ask a config server. */
export type ClientToConfig = z.infer<typeof clientToConfigSchema>
export const configToClientSchema = z.discriminatedUnion('kind', [statusAnswer, config, groupAnswer, adminAnswer])
/** What it answers. */
export type ConfigToClient = z.infer<typeof configToClientSchema>
/** Where the client at the other end of this connection stands; said when it opens and whenever an epoch begins. Needs no answer. */
const clientZone = z.strictObject({ kind: z.literal('zone'), zone: z.string().min(1).max(MAX_ZONE_CHARS) })
export const clientToReplicaControlSchema = z.discriminatedUnion('kind', [
  statusRequest,
  hashRequest,
  getConfig,
  clientZone,
])
/** What clients say to a replica beside operations and reads. */
export type ClientToReplicaControl = z.infer<typeof clientToReplicaControlSchema>
/** Primary → its clerks: members of the epoch that is being prepared, so that links to them are open when it begins. */
const announced = z.strictObject({ kind: z.literal('announced'), epoch: index, members: z.array(serverSchema) })
export const replicaToClientControlSchema = z.discriminatedUnion('kind', [statusAnswer, hashAnswer, config, announced])
/** What it says to them beside replies. */
export type ReplicaToClientControl = z.infer<typeof replicaToClientControlSchema>
