// The thread between `coppice dev` and its children: a child says when it is ready, and stops when the channel closes.
import { fileURLToPath } from 'node:url'

/** The file that runs the coppice command. */
export const COMMAND_FILE = fileURLToPath(new URL('../../bin/coppice.js', import.meta.url))

/** Set in the environment of a child of `coppice dev`. */
export const FROM_DEV = 'COPPICE_FROM_DEV'

/** Tells the parent, if there is one, that this process is ready, and calls `stop` once the parent is gone. */
export function attachToParent(stop: () => void): void {
  if (process.env[FROM_DEV] === undefined || process.send === undefined) return
  process.once('disconnect', stop)
  // The channel must not keep a server alive that has stopped by itself: the parent starts it again when it is gone.
  process.channel?.unref()
  process.send({ ready: true })
}
