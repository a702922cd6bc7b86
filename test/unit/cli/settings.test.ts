// Where settings come from, and what is said when one is wrong.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CliError, EXIT, exitCodeOf } from '../../../packages/cli/src/base/exit.js'
import { parseDuration, settingsOf } from '../../../packages/cli/src/base/settings.js'
import { CoppiceError, type ErrorCode, type Outcome } from '@coppice/protocol'

function dirWith(config: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-settings-'))
  writeFileSync(join(dir, 'coppice.json'), config)
  return dir
}
const empty = mkdtempSync(join(tmpdir(), 'coppice-settings-'))

function problemOf(run: () => unknown): CliError {
  try {
    run()
  } catch (error) {
    if (error instanceof CliError) return error
  }
  throw new Error('no CliError')
}

describe('settingsOf', () => {
  test('settingsOf_defaults', () => {
    const settings = settingsOf({}, {}, empty)
    expect(settings).toEqual({
      output: 'table',
      timeoutMs: undefined,
      config: undefined,
      data: './coppice-data',
      dataGiven: false,
      group: 'main',
      zone: undefined,
      token: undefined,
    })
  })

  test('settingsOf_flagsBeforeEnvironmentBeforeFile', () => {
    const dir = dirWith('{"output":"json","timeout":"1s","group":"from-file","config":["a:1"]}')
    const env = { COPPICE_TIMEOUT: '2s', COPPICE_GROUP: 'from-env', COPPICE_ZONE: 'east' }
    const settings = settingsOf({ timeout: '3s' }, env, dir)
    expect(settings).toMatchObject({
      output: 'json',
      timeoutMs: 3_000,
      group: 'from-env',
      zone: 'east',
      config: ['a:1'],
    })
  })

  test('settingsOf_misspeltField_namesItAndTheFile', () => {
    const problem = problemOf(() => settingsOf({}, {}, dirWith('{"timeuot":"1s"}')))
    expect(problem.exitCode).toBe(EXIT.usage)
    expect(problem.message).toContain('coppice.json')
    expect(problem.message).toContain('"timeuot"')
    expect(problem.message).toContain('did you mean "timeout"?')
  })

  test('settingsOf_wrongValue_namesFieldAndSource', () => {
    expect(problemOf(() => settingsOf({}, { COPPICE_TIMEOUT: 'soon' }, empty)).message).toContain('COPPICE_TIMEOUT')
    expect(problemOf(() => settingsOf({ output: 'xml' }, {}, empty)).message).toContain('--output')
    expect(problemOf(() => settingsOf({}, {}, dirWith('{"group":"NO"}'))).message).toContain('group')
    expect(problemOf(() => settingsOf({}, {}, dirWith('{"group":'))).message).toContain('not JSON')
  })
})

test('parseDuration_units', () => {
  expect(['250', '250ms', '10s', '1.5m', '1h', 70].map(parseDuration)).toEqual([
    250, 250, 10_000, 90_000, 3_600_000, 70,
  ])
  expect(['', 's', '-1s', '0', '10 days'].map(parseDuration)).toEqual(Array(5).fill(undefined))
})

test('exitCodeOf_everyFailure', () => {
  const codes: [ErrorCode, Outcome, number][] = [
    ['TIMEOUT', 'unknown', EXIT.outcomeUnknown],
    ['TIMEOUT', 'not-applied', EXIT.noQuorum],
    ['UNAVAILABLE', 'not-applied', EXIT.noQuorum],
    ['NOT_FOUND', 'not-applied', EXIT.notFound],
    ['FENCED', 'not-applied', EXIT.conditionNotMet],
    ['LOCK_BUSY', 'not-applied', EXIT.conditionNotMet],
    ['TOO_LARGE', 'not-applied', EXIT.usage],
    ['ABORTED', 'unknown', EXIT.interrupted],
    ['WRONG_CLUSTER', 'not-applied', EXIT.error],
  ]
  for (const [code, outcome, exit] of codes)
    expect(exitCodeOf(new CoppiceError('x', { code, outcome })), code).toBe(exit)
  expect(exitCodeOf(new Error('x'))).toBe(EXIT.error)
})
