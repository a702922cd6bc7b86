// coppice txn, kv ls with its pages, kv count, as a user runs them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand, type Ran, type RunOptions } from './support/command.js'

let cluster: Cluster
const dir = mkdtempSync(join(tmpdir(), 'coppice-kv-'))

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 3 })
  const db = await cluster.connect()
  await Promise.all(Array.from({ length: 12 }, (_, i) => db.kv.put(`list/${String(i).padStart(2, '0')}`, `v${i}`)))
})
afterAll(async () => {
  await cluster?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const coppice = (args: readonly string[], options?: RunOptions): Promise<Ran> =>
  runCommand(['--config', cluster.addresses.join(','), ...args], options)

test('ls_pagesOneAfterTheOther_inBothDirections', async () => {
  const listed: string[] = []
  let next: string[] = []
  for (let more = true; more;) {
    const { code, out } = await coppice(['kv', 'ls', 'list/', '--limit', '5', ...next, '-o', 'json'])
    expect(code).toBe(0)
    const page = JSON.parse(out) as { keys: { key: string }[]; more: boolean; next?: { after: string } }
    listed.push(...page.keys.map(({ key }) => key))
    more = page.more
    next = more ? ['--after', page.next!.after] : []
  }
  expect(listed).toEqual(Array.from({ length: 12 }, (_, i) => `list/${String(i).padStart(2, '0')}`))
  const last = await coppice(['kv', 'ls', 'list/', '--reverse', '--limit', '2', '--long'])
  expect(last.out).toMatch(/^ +\d+ +3 list\/11\n +\d+ +3 list\/10\n$/)
  expect(last.err).toContain('there are more: --end list/10')
  const span = await coppice(['kv', 'ls', '--start', 'list/03', '--end', 'list/05'])
  expect(span).toMatchObject({ code: 0, out: 'list/03\nlist/04\n', err: '' })
  expect((await coppice(['kv', 'count', 'list/', '--after', 'list/09', '-o', 'json'])).out).toBe('{"count":2}\n')
})

test('txn_fileAndStdin_exitCodeSaysWhetherItHeld', async () => {
  const file = join(dir, 'order.json')
  const order = `{
    "if":   [{ "key": "order/1", "exists": false }],
    "then": [{ "put": "order/1", "value": "7" }, { "get": "list/03" }],
    "else": [{ "get": "order/1" }]
  }`
  writeFileSync(file, order)
  const done = await coppice(['txn', file, '-o', 'json'])
  expect(done.code).toBe(0)
  expect(JSON.parse(done.out)).toMatchObject({
    ok: true,
    results: [
      { put: 'order/1', existed: false },
      { get: 'list/03', value: 'v3' },
    ],
  })
  const again = await coppice(['txn', '-'], { stdin: order })
  expect(again.code).toBe(4)
  expect(again.out).toMatch(/^get order\/1: "7" \(version \d+\)\n$/)
  expect(again.err).toContain('order/1 is not as expected')
  const wrong = await coppice(['txn', '-'], { stdin: '{"then":[{"put":"a"}]}' })
  expect(wrong.code).toBe(2)
  expect(wrong.err).toContain('then[0]')
  const twice = await coppice(['txn', '-'], { stdin: '{"then":[{"delete":"a"},{"put":"a","value":""}]}' })
  expect(twice.code).toBe(2)
  expect(twice.err).toContain('"a" is written twice')
})

test('txn_withANameAndATtl_doneOnce_itsKeyEnds', async () => {
  const order = `{
    "idempotencyKey": "payment-2",
    "then": [{ "put": "order/2", "value": "paid" }, { "put": "code/2", "value": "4711", "ttl": "50ms" }]
  }`
  const run = async (stdin: string): Promise<Ran> => coppice(['txn', '-', '-o', 'json'], { stdin })
  const first = await run(order)
  expect(first.code).toBe(0)
  const watched = await cluster.connect()
  for await (const event of watched.kv.watch('code/2', { exact: true, from: JSON.parse(first.out).version })) {
    if (event.type === 'expire') break
  }
  await watched.kv.put('order/2', 'shipped')
  const again = await run(order)
  expect([again.code, again.out]).toEqual([0, first.out])
  expect(await watched.kv.getMany(['order/2', 'code/2'])).toEqual(['shipped', undefined])
  const other = await run('{"idempotencyKey":"payment-2","then":[{"delete":"order/2"}]}')
  expect(other.code).not.toBe(0)
  expect(other.err).toContain('idempotency key was used for another operation')
  const ended = await run('{"then":[{"put":"worker","value":"","session":1}]}')
  expect(ended.code).not.toBe(0)
  expect(ended.err).toContain('session 1 has ended')
})
