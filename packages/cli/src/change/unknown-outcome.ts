// What to do when nobody knows how a change went.
import { CoppiceError } from '@coppice/protocol'

export const SEE_EPOCHS = 'The change may be under way still: "coppice status" and "coppice epochs" show it'

/** A handler of errors: it adds the advice to those that leave the outcome open. */
export function advising(advice: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof CoppiceError) || error.outcome !== 'unknown') throw error
    const { message, code, outcome, retryable, attempts, epoch } = error
    throw new CoppiceError(`${message}. ${advice}`, { code, outcome, retryable, attempts, epoch, cause: error })
  }
}
