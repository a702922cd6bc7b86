// How failures of the SDK reach whoever reads the command's stderr and exit code.
import { CoppiceError } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { CliError, EXIT, exitCodeOf, failureJson } from '../../../packages/cli/src/base/exit.js'

test('failureJson_ofTheSdk_saysCodeOutcomeAndRequest', () => {
  const error = new CoppiceError('no answer within 1 s', {
    code: 'TIMEOUT',
    outcome: 'unknown',
    requestId: 7,
    epoch: 3,
  })
  expect(JSON.parse(failureJson(error))).toEqual({
    error: {
      message: 'no answer within 1 s (it may or may not have taken effect)',
      exitCode: EXIT.outcomeUnknown,
      code: 'TIMEOUT',
      outcome: 'unknown',
      retryable: false,
      attempts: 0,
      epoch: 3,
      requestId: 7,
    },
  })
})

test('failureJson_ofTheCommand_saysMessageAndExitCode', () => {
  const error = new CliError(EXIT.notFound, 'no such key')
  expect(exitCodeOf(error)).toBe(EXIT.notFound)
  expect(JSON.parse(failureJson(error))).toEqual({ error: { message: 'no such key', exitCode: EXIT.notFound } })
})
