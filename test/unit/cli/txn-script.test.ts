// Transactions as files: what is accepted, and that a mistake names its place.
import { expect, test } from 'vitest'
import { CliError, EXIT } from '../../../packages/cli/src/base/exit.js'
import { bytesOfValue, parseTxnScript } from '../../../packages/cli/src/txn/script.js'

test('parseTxnScript_whole_isTaken', () => {
  const source = `{
    "if": [{ "key": "a", "version": 3, "exists": true }],
    "then": [{ "put": "a", "value": "" }, { "put": "b", "valueBase64": "/w==" }, { "delete": "c" }, { "get": "d" }]
  }`
  const script = parseTxnScript(source, 'x.json')
  expect(script.else).toEqual([])
  expect(script.then.map((step) => ('put' in step ? [...bytesOfValue(step)] : step))).toEqual([
    [],
    [255],
    { delete: 'c' },
    { get: 'd' },
  ])
})

test.each([
  ['no JSON', '{', /x\.json is not JSON/],
  ['an unknown list', '{"when":[]}', /"when"/],
  ['an unknown condition', '{"if":[{"key":"a","verson":1}]}', /"verson"[\s\S]*if\[0\]/],
  ['a condition without any', '{"if":[{"key":"a"}]}', /says nothing of its key[\s\S]*if\[0\]/],
  ['a negative version', '{"if":[{"key":"a","version":-1}]}', /if\[0\]\.version/],
  ['a step that is none', '{"then":[{"get":"a"},{"inc":"b"}]}', /must be \{"put"[\s\S]*then\[1\]/],
  ['a put without a value', '{"then":[{"put":"a"}]}', /then\[0\]/],
  ['a put with two values', '{"then":[{"put":"a","value":"x","valueBase64":""}]}', /then\[0\]/],
])('parseTxnScript_%s_isNamed', (_, source, message) => {
  let thrown: unknown
  try {
    parseTxnScript(source, 'x.json')
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(CliError)
  expect(thrown).toMatchObject({ exitCode: EXIT.usage })
  expect((thrown as Error).message).toMatch(message)
})
