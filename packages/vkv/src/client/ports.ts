// What the clients of vKV need besides a clerk. Production gives Node's own, the simulator its own.
import type { AbortSignalLike, TextPort } from '@coppice/protocol'

/** A signal and its trigger. */
export interface AbortHandle {
  readonly signal: AbortSignalLike
  abort(reason: unknown): void
}

/** Everything outside; the simulator passes its own. */
export interface KvPorts {
  readonly text: TextPort
  /** Makes the signal of a lock; by default a plain one (client/abort.ts). Node gives its AbortController. */
  readonly newAbort?: (() => AbortHandle) | undefined
  /** What sessions of this process are called if nobody names them. */
  readonly processName?: string | undefined
  /** Keeps the process alive while a call waits without any open request; the answer ends it. */
  readonly hold?: (() => () => void) | undefined
}
