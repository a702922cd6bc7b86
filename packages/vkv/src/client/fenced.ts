// The error of a write whose lock is another's by now.
import { CoppiceError, type Index, type TextPort } from '@coppice/protocol'
import type { Guard } from '../core/operation-parts.js'
import type { Tried } from './budget.js'
import { shown } from './codecs.js'

/** `fence`: the lock's now, 0: nobody holds it. */
export function fencedError(text: TextPort, what: string, guard: Guard, fence: Index, tried: Tried): CoppiceError {
  const now = fence === 0 ? 'nobody holds it' : `it is held with token ${fence}`
  const message = `${what}: lock ${shown(guard.lock, text)} is no longer held with token ${guard.fence}, ${now}`
  return new CoppiceError(message, { code: 'FENCED', outcome: 'not-applied', ...tried })
}
