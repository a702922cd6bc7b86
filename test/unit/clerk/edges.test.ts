// What users write: URLs, durations, options; deadlines of many calls under one timer; a real socket where nobody listens.
import { createServer } from 'node:net'
import { connectClerk, durationMs, parseClusterUrl } from '@coppice/clerk'
import { EMPTY_BYTES } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { type Call, newCall } from '../../../packages/clerk/src/client/call.js'
import { Deadlines } from '../../../packages/clerk/src/client/deadlines.js'
import { FakeTime } from './support/fake-time.js'
import { errorOf } from './support/fake-cluster.js'

test('parseClusterUrl_takes_addresses_and_group', () => {
  expect(parseClusterUrl('coppice://a:1,b:2')).toEqual({ configServers: ['a:1', 'b:2'], group: 'main' })
  expect(parseClusterUrl('coppice://[::1]:7101/orders')).toEqual({ configServers: ['[::1]:7101'], group: 'orders' })
  expect(parseClusterUrl('coppice://a:1,a:1/')).toEqual({ configServers: ['a:1'], group: 'main' })
})

test.each([
  ['http://a:1', 'coppice://'],
  ['coppice://', 'no address'],
  ['coppice://a', '"a" is not host:port'],
  ['coppice://a:1,b:99999', '"b:99999" is not host:port'],
  ['coppice://a:1/Not Good', '"Not Good" is not the name of a group'],
])('parseClusterUrl_names_what_is_wrong_in_%s', (url, words) => {
  expect(() => parseClusterUrl(url)).toThrow(words)
})

test('durationMs_reads_units', () => {
  expect([250, '250ms', '10s', '1.5m', '1h'].map(durationMs)).toEqual([250, 250, 10_000, 90_000, 3_600_000])
  expect([0, -1, '', '10', 'soon', '0s'].map(durationMs)).toEqual(Array.from({ length: 6 }, () => undefined))
})

test('connectClerk_options_name_the_wrong_field', async () => {
  const misspelt = { maxInflight: 3 } as object
  expect((await errorOf(connectClerk('coppice://a:1', misspelt))).message).toContain('maxInflight')
  const error = await errorOf(connectClerk('coppice://a:1', { timeout: 'soon' }))
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(error.message).toContain('timeout')
})

test('connectClerk_where_nobody_listens_names_the_address', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  const error = await errorOf(connectClerk([`127.0.0.1:${port}`], { timeout: 200 }))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
  expect(error.message).toContain(`127.0.0.1:${port}`)
})

test('deadlines_fire_in_their_slice_and_use_one_timer', async () => {
  const time = new FakeTime()
  const due: Call[] = []
  const deadlines: Deadlines = new Deadlines(time.clock, (call) => {
    deadlines.remove(call)
    due.push(call)
  })
  const owner = { withdraw: () => 'unknown' as const, lastWord: () => '' }
  const calls = Array.from({ length: 1_000 }, () => newCall(owner, EMPTY_BYTES).call)
  const began = time.now
  for (const [i, call] of calls.entries()) deadlines.add(call, 1_000 - i)
  expect(time.pending).toBe(1)
  for (const call of calls.slice(0, 500)) deadlines.remove(call)
  await time.run(495)
  expect(due.length).toBeGreaterThan(480)
  expect(due.every((call, i) => i === 0 || calls.indexOf(due[i - 1]!) >= calls.indexOf(call) - 10)).toBe(true)
  await time.run(20)
  expect(due.length).toBe(500)
  expect(deadlines.size).toBe(0)
  expect(time.now - began).toBe(515)
  deadlines.maybeRest()
  expect(time.pending).toBe(0)
})
