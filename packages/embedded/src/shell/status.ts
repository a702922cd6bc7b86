// What a test can see of its cluster.
import type { AdminCallOptions, AdminClient } from '@coppice/clerk'
import { CoppiceError, type AbortSignalLike, type Epoch, type NodeId, type ProcessStatus } from '@coppice/protocol'
import type { Server, ServerState } from './server.js'

/** A server in this process that says nothing for so long will say nothing, ms. */
const ANSWER_MS = 500

/** One server of an embedded cluster. */
export interface EmbeddedServerStatus {
  readonly id: NodeId
  readonly kind: 'config' | 'replica'
  readonly state: ServerState
  /** Why it stopped by itself, if it did. */
  readonly failure?: string
  /** What it says of itself; undefined when it does not answer. */
  readonly said: ProcessStatus | undefined
}

/** An embedded cluster: its configuration and its servers. */
export interface EmbeddedStatus {
  /** Of the running configuration, as the config service knows it. */
  readonly epoch: Epoch
  readonly members: readonly NodeId[]
  /** First of the members. */
  readonly primary: NodeId
  /** Who leads the config service; '' when nobody is known to. */
  readonly leader: NodeId | ''
  readonly servers: readonly EmbeddedServerStatus[]
}

/** Fails with UNAVAILABLE or TIMEOUT when no config server answers, and as any call by its signal. */
export async function statusOf(
  admin: AdminClient,
  servers: readonly Server[],
  options: AdminCallOptions = {},
): Promise<EmbeddedStatus> {
  const [{ leader, state }, told] = await Promise.all([
    admin.getGroup(options),
    Promise.all(servers.map((server) => serverStatusOf(admin, server, options.signal))),
  ])
  const { epoch, members } = state
  return { epoch, members, primary: members[0] ?? '', leader, servers: told }
}

async function serverStatusOf(
  admin: AdminClient,
  server: Server,
  signal: AbortSignalLike | undefined,
): Promise<EmbeddedServerStatus> {
  const { id, kind, address, state, failure } = server
  const known = { id, kind, state, ...(failure === undefined ? {} : { failure }) }
  if (state !== 'running') return { ...known, said: undefined }
  try {
    return { ...known, said: await admin.status(address, kind, { timeout: ANSWER_MS, signal }) }
  } catch (error) {
    if (!(error instanceof CoppiceError)) throw error
    return { ...known, said: undefined }
  }
}
