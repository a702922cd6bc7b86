// Assertions that stay on in production: a broken invariant stops the process before it can spread.

/** A broken invariant: a defect here or in the store, never a user's mistake. The process that sees it stops. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Throws an InvariantError unless `condition` holds. `what` says the invariant, in words. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantError(what)
}

/** Marks a union as exhausted; unreachable when the types are right. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}
