// The error of a write whose lock is another's by now.
import { CoppiceError, type Index, type TextPort } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import type { Guard } from '../core/operations.js'
import { shown } from './codecs.js'

/** `fence`: the lock's now, 0: nobody holds it. */
export function fencedError(clerk: ClerkLike, text: TextPort, what: string, guard: Guard, fence: Index): CoppiceError {
  const now = fence === 0 ? 'nobody holds it' : `it is held with token ${fence}`
  const message = `${what}: lock ${shown(guard.lock, text)} is no longer held with token ${guard.fence}, ${now}`
  return new CoppiceError(message, { code: 'FENCED', outcome: 'not-applied', epoch: clerk.configuration?.epoch })
}
