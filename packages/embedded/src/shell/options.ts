// What a test says when it starts a cluster, checked once; a mistake names the field.
import {
  CoppiceError,
  DEFAULT_ELECTION,
  DEFAULT_PARAMS,
  MAX_MEMBERS,
  paramsProblem,
  type BytesPort,
  type ElectionParams,
  type NodeId,
  type Params,
} from '@coppice/protocol'
import type { LogFields } from '@coppice/runtime/server'
import type { StateMachine } from '@coppice/replica'
import { z } from 'zod'

/** Of an embedded cluster; nothing is needed. */
export interface EmbeddedOptions {
  /** Members of the group, named r1, r2, …. Default 3. */
  readonly replicas?: number | undefined
  /** Further replicas that stand by, named after them. Default 0. */
  readonly spares?: number | undefined
  /** Config servers, named c1, c2, …: 1, 3 or 5. Default 1. */
  readonly configServers?: number | undefined
  /** 'memory' (default): disks that end with the cluster. Else a directory with the stores of production; a later cluster goes on there. */
  readonly storage?: string | undefined
  /** Timing of the group, over EMBEDDED_PARAMS. */
  readonly params?: Partial<Params> | undefined
  /** Timing of the config servers' election, over EMBEDDED_ELECTION (of one) or EMBEDDED_ELECTION_OF_SEVERAL. */
  readonly election?: Partial<ElectionParams> | undefined
  /** Makes an empty state machine of your own, for each replica and each of its starts. Default: the key-value store. */
  readonly machine?: ((bytes: BytesPort) => StateMachine) | undefined
  /** Other processes reach the cluster over TCP at `cluster.url`, on 127.0.0.1. Default false. */
  readonly listen?: boolean | undefined
  /** Hears what servers tell of themselves: the events and lines of their logs. */
  readonly onLog?: ((line: EmbeddedLogLine) => void) | undefined
}

/** What a server of an embedded cluster told: an event of the fixed list, or a line. */
export interface EmbeddedLogLine {
  readonly server: NodeId
  readonly level: 'event' | 'debug' | 'warn' | 'error'
  /** Name of the event, or plain words. */
  readonly text: string
  readonly fields: LogFields
}

/** A failover takes some 300 ms with these; with the defaults of production, over a second. */
export const EMBEDDED_PARAMS: Params = { ...DEFAULT_PARAMS, leaseMs: 150, renewMs: 50, failMs: 200, sealWaitMs: 20 }
/** One config server has nobody to agree with. */
export const EMBEDDED_ELECTION: ElectionParams = {
  ...DEFAULT_ELECTION,
  heartbeatMs: 20,
  stepDownMs: 400,
  timeoutMs: 60,
}
/** Several have: what holds up this process holds up all of them, and must not make them change their leader. */
export const EMBEDDED_ELECTION_OF_SEVERAL: ElectionParams = { ...EMBEDDED_ELECTION, heartbeatMs: 30, timeoutMs: 400 }

export interface Settings {
  readonly replicas: readonly NodeId[]
  readonly wanted: number
  readonly configServers: readonly NodeId[]
  readonly storage: string
  readonly params: Params
  readonly election: ElectionParams
  readonly machine: ((bytes: BytesPort) => StateMachine) | undefined
  readonly listen: boolean
  readonly onLog: ((line: EmbeddedLogLine) => void) | undefined
}

const MAX_SPARES = 15
const count = (least: number, most: number): z.ZodOptional<z.ZodNumber> =>
  z.number().int().min(least).max(most).optional()

const schema = z.strictObject({
  replicas: count(1, MAX_MEMBERS),
  spares: count(0, MAX_SPARES),
  configServers: z.union([z.literal(1), z.literal(3), z.literal(5)]).optional(),
  storage: z.string().min(1).optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  election: z.record(z.string(), z.unknown()).optional(),
  machine: z.function().optional(),
  listen: z.boolean().optional(),
  onLog: z.function().optional(),
})

/** Throws INVALID_ARGUMENT naming each wrong field. */
export function settingsOf(options: EmbeddedOptions): Settings {
  const parsed = schema.safeParse(options)
  if (!parsed.success) throw wrong(z.prettifyError(parsed.error), parsed.error)
  const { replicas = 3, spares = 0, configServers = 1, storage = 'memory', machine, listen = false, onLog } = options
  const params = { ...EMBEDDED_PARAMS, ...options.params }
  const problem = paramsProblem(params)
  if (problem !== undefined) throw wrong(`params: ${problem}`, undefined)
  return {
    replicas: names('r', replicas + spares),
    wanted: replicas,
    configServers: names('c', configServers),
    storage,
    params,
    election: { ...(configServers === 1 ? EMBEDDED_ELECTION : EMBEDDED_ELECTION_OF_SEVERAL), ...options.election },
    machine,
    listen,
    onLog,
  }
}

function names(letter: string, many: number): NodeId[] {
  return Array.from({ length: many }, (_, i) => `${letter}${i + 1}`)
}

function wrong(message: string, cause: unknown): CoppiceError {
  return new CoppiceError(`startEmbedded: ${message}`, { code: 'INVALID_ARGUMENT', outcome: 'not-applied', cause })
}
