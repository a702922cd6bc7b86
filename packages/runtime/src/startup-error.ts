// What keeps a server from starting and is not a defect: the command prints the message without a stack.

/** Kind of a StartupError. */
export type StartupProblem =
  'PORT_TAKEN' | 'ADDRESS_UNUSABLE' | 'DIRECTORY_IN_USE' | 'DIRECTORY_UNUSABLE' | 'STORE_UNUSABLE'

/** Why a server cannot start, in words for its operator. */
export class StartupError extends Error {
  override readonly name = 'StartupError'
  readonly code: StartupProblem
  constructor(code: StartupProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
