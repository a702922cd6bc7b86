// What a host says when it starts a config server, and what it gets back.
import type { ElectionParams, NodeId, Params } from '@coppice/protocol'
import type { Transport } from '@coppice/runtime'
import type { Logger } from '@coppice/runtime/server'
import type { RegisterStore } from './register-store.js'

/** What a host says when it starts a config server. */
export interface StartConfigServerOptions {
  /** Directory of this server's register; made and formatted when it is missing or empty. */
  readonly dataDir: string
  readonly id: NodeId
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port under which others reach it; default: its address in `peers`, else what it listens on. */
  readonly advertise?: string
  /** All config servers of a new cluster, this one included: 1, 3 or 5. With `join`: some of the running one. */
  readonly peers: readonly { readonly id: NodeId; readonly address: string }[]
  /** An empty store has no vote and forms no cluster: it waits until it is added (P6). */
  readonly join?: boolean
  /** For groups formed while this server leads: members wanted, and timing; the rest of `params` is the defaults. */
  readonly wanted?: number
  readonly params?: Partial<Params>
  /** The same on every config server. */
  readonly election?: Partial<ElectionParams>
  readonly logger: Logger
}

/** What `hostConfigServer` needs: a store that is open, and what connects it to others. */
export interface HostConfigServerOptions extends Omit<StartConfigServerOptions, 'dataDir'> {
  /** Where the store is, to be told; undefined: nowhere on a disk. */
  readonly dataDir?: string | undefined
  readonly store: RegisterStore
  /** Default: WebSockets over TCP. */
  readonly transport?: Transport | undefined
}

/** Why a config server is no longer running. A host that owns its process exits with `exitCode`. */
export interface ConfigServerStopped {
  readonly exitCode: 0 | 1
  readonly reason: string
}

/** A config server that runs in this process. */
export interface RunningConfigServer {
  /** host:port it listens on. */
  readonly address: string
  /** If it leads, another config server is asked to lead; resolves when that is done, or after `withinMs`. Then `stop`. */
  leave(withinMs: number): Promise<void>
  /** Orderly end: nothing new is taken, queued writes become durable, the store is closed. */
  stop(): Promise<void>
  /** Settles once, after `stop` or after a halt; a halt does not wait for a disk that may never answer. */
  readonly stopped: Promise<ConfigServerStopped>
}

/** A config server whose process its host can play: stop it and let it go on, or kill it. */
export interface HostedConfigServer extends RunningConfigServer {
  /** As SIGSTOP: nothing happens until `resume`. Whoever pauses it keeps back what others send to it. */
  pause(): void
  /** As SIGCONT. */
  resume(): void
  /** As kill -9: says nothing to anybody, and abandons its store. Resolves once nothing of it is open. */
  crash(): Promise<void>
}

/** What is wrong with the options, naming the field; undefined when a server may start. */
export function optionsProblem(o: Omit<StartConfigServerOptions, 'dataDir'>): string | undefined {
  const ids = o.peers.map((p) => p.id)
  const { wanted = DEFAULT_WANTED } = o
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 15) return `wanted: ${wanted} is not between 1 and 15`
  if (o.join === true) return undefined
  if (![1, 3, 5].includes(ids.length)) return `peers: a cluster has 1, 3 or 5 config servers, not ${ids.length}`
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) return `peers: ${twice} is named twice`
  if (!ids.includes(o.id)) return `peers: ${o.id} itself is missing among ${ids.join(', ')}`
  return undefined
}

export const DEFAULT_WANTED = 3
