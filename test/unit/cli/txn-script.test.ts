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

test('parseTxnScript_lifetimesAndName_areTaken', () => {
  const script = parseTxnScript(
    `{
      "idempotencyKey": "payment-7", "idempotencyTtl": "1h",
      "then": [{ "put": "a", "value": "", "ttl": "5m" }, { "put": "b", "value": "", "ttl": 70, "session": 12 }],
      "else": [{ "put": "c", "value": "", "session": 12 }]
    }`,
    'x.json',
  )
  expect(script).toMatchObject({ idempotencyKey: 'payment-7', idempotencyTtl: 3_600_000 })
  expect([...script.then, ...script.else].map((step) => 'put' in step && [step.ttl, step.session])).toEqual([
    [300_000, undefined],
    [70, 12],
    [undefined, 12],
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
  ['a ttl that is none', '{"then":[{"put":"a","value":"x","ttl":"soon"}]}', /"ttl" such as "5m"[\s\S]*then\[0\]/],
  ['a ttl of nothing', '{"then":[{"put":"a","value":"x","ttl":0}]}', /"ttl" such as "5m"[\s\S]*then\[0\]/],
  ['a session that is none', '{"then":[{"put":"a","value":"x","session":"me"}]}', /then\[0\]/],
  ['a ttl of a delete', '{"then":[{"delete":"a","ttl":5}]}', /then\[0\]/],
  ['an idempotencyTtl that is none', '{"idempotencyTtl":"soon"}', /a duration such as[\s\S]*idempotencyTtl/],
  ['an empty idempotency key', '{"idempotencyKey":""}', /idempotencyKey/],
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
