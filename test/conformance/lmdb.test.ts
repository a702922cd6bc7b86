// What the store promises on top of lmdb: atomic groups, completions in order, copies out, and nothing lost by kill -9.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdb, type Lmdb } from '@coppice/runtime/server'
import { afterEach, beforeEach, expect, test } from 'vitest'

let dir: string
let failures: string[]
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'coppice-lmdb-'))
  failures = []
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const openStore = (): Lmdb =>
  openLmdb(join(dir, 'store'), { tables: ['log', 'meta'], onFailure: (reason) => failures.push(reason) })
const durable = (store: Lmdb, writes: () => void): Promise<void> =>
  new Promise((resolve) => store.commit(writes, resolve))
const bytes = (...values: number[]): Uint8Array => new Uint8Array(values)

test('commit_isReadAfterReopening_acrossTables', async () => {
  const store = openStore()
  await durable(store, () => {
    store.table('log').put(1, bytes(1))
    store.table('log').put(2, bytes(2))
    store.table('meta').put('epoch', bytes(7))
  })
  await durable(store, () => store.table('log').remove(1))
  await store.close()
  const again = openStore()
  expect([...again.table('log').range()]).toEqual([{ key: 2, value: bytes(2) }])
  expect(again.table('meta').get('epoch')).toEqual(bytes(7))
  expect(again.table('meta').get('nothing')).toBeUndefined()
  await again.close()
  expect(failures).toEqual([])
})

test('commits_completeInOrder_whateverTheyShare', async () => {
  const store = openStore()
  const order: number[] = []
  const all = Array.from({ length: 200 }, (_, i) =>
    durable(store, () => store.table('log').put(i, bytes(i & 255))).then(() => void order.push(i)),
  )
  await Promise.all(all)
  expect(order).toEqual(Array.from({ length: 200 }, (_, i) => i))
  await store.close()
})

test('commit_givenInACompletion_isDurableToo', async () => {
  const store = openStore()
  await new Promise<void>((resolve) => {
    store.commit(
      () => store.table('log').put(1, bytes(1)),
      () => store.commit(() => store.table('log').put(2, bytes(2)), resolve),
    )
  })
  expect([...store.table('log').keys()]).toEqual([1, 2])
  await store.close()
})

test('values_arePlainCopies', async () => {
  const store = openStore()
  await durable(store, () => store.table('log').put(1, bytes(1, 2, 3)))
  const value = store.table('log').get(1)!
  expect(value.constructor).toBe(Uint8Array)
  await durable(store, () => store.table('log').put(1, bytes(9, 9, 9)))
  expect(value).toEqual(bytes(1, 2, 3))
  await store.close()
})

test('range_bounds_reverse_andLimit', async () => {
  const store = openStore()
  await durable(store, () => {
    for (let i = 0; i < 300; i++) store.table('log').put(i, bytes(i & 255))
  })
  const keys = (options: Parameters<ReturnType<Lmdb['table']>['keys']>[0]) => [...store.table('log').keys(options)]
  expect(keys({ start: 5, end: 8 })).toEqual([5, 6, 7])
  expect(keys({ reverse: true, limit: 2 })).toEqual([299, 298])
  await store.close()
})

test('close_waitsForWhatWasCommitted', async () => {
  const store = openStore()
  let done = false
  store.commit(
    () => store.table('log').put(1, new Uint8Array(1_000_000)),
    () => (done = true),
  )
  await store.close()
  expect(done).toBe(true)
})

test('unknownTable_isADefect', async () => {
  const store = openStore()
  expect(() => store.table('logg')).toThrow('table logg was not named')
  await store.close()
})

test('notAStore_isRefusedByName', () => {
  writeFileSync(join(dir, 'store'), 'not a directory')
  expect(openStore).toThrow(/store .* cannot be opened/)
})

const WRITER = `
  import { writeSync } from 'node:fs'
  import { openLmdb } from '@coppice/runtime/server'
  const store = openLmdb(process.argv[1], { tables: ['log', 'meta'], onFailure: () => process.exit(3) })
  const log = store.table('log')
  const meta = store.table('meta')
  let i = 0
  const next = () => {
    const n = ++i
    const value = new Uint8Array(2000).fill(n)
    store.commit(() => { log.put(n, value); meta.put('last', new Uint8Array([n & 255, n >> 8])) }, () => {
      writeSync(1, n + '\\n')
      next()
    })
  }
  next()
`

test('acknowledgedCommits_surviveKill9_whole', async () => {
  const path = join(dir, 'store')
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString()
    if (output.split('\n').length > 50) child.kill('SIGKILL')
  })
  await once(child, 'close')
  const acknowledged = Number(output.slice(0, output.lastIndexOf('\n')).split('\n').pop())
  expect(acknowledged).toBeGreaterThan(40)
  const store = openStore()
  const keys = [...store.table('log').keys()]
  // Everything acknowledged, at most one more, and both tables at the same place.
  expect(keys.length === acknowledged || keys.length === acknowledged + 1).toBe(true)
  const last = store.table('meta').get('last')!
  expect(last[0]! + 256 * last[1]!).toBe(keys.length)
  await store.close()
})

const FULL = `
  import { writeSync } from 'node:fs'
  import { openLmdb } from '@coppice/runtime/server'
  const onFailure = async (reason) => {
    writeSync(1, 'failed ' + reason + '\\n')
    store.commit(() => log.put(0, new Uint8Array(1)), () => writeSync(1, 'acknowledged after a failure\\n'))
    await store.close()
    writeSync(1, 'closed\\n')
  }
  const store = openLmdb(process.argv[1], { tables: ['log'], onFailure })
  const log = store.table('log')
  const next = (n) => {
    store.commit(() => log.put(n, new Uint8Array(20000)), () => next(n + 1))
    store.commit(() => {}, () => {})
  }
  next(1)
`

test.runIf(process.platform === 'linux')('failedWrite_isToldOnce_andNothingIsAcknowledgedAfterwards', async () => {
  // The limit on file sizes makes a write fail as a broken disk would.
  const command = 'ulimit -f 1000; exec "$0" --input-type=module -e "$1" "$2"'
  const child = spawn('bash', ['-c', command, process.execPath, FULL, join(dir, 'store')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  await once(child, 'close')
  expect(output.split('\n')).toEqual(['failed writing to the store failed: Input/output error', 'closed', ''])
})
