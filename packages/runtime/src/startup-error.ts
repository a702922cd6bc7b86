// What keeps a server from starting and is not a defect: the command prints the message without a stack.

export type StartupProblem =
  'PORT_TAKEN' | 'ADDRESS_UNUSABLE' | 'DIRECTORY_IN_USE' | 'DIRECTORY_UNUSABLE' | 'STORE_UNUSABLE'

export class StartupError extends Error {
  override readonly name = 'StartupError'
  readonly code: StartupProblem
  constructor(code: StartupProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
