// Mistakes that a compiler would have found, made without one: each is refused before anything is sent, in words that name it.
import { Db } from '@coppice/vkv/core'
import { expect, test } from 'vitest'
import { World } from './memory-clerk.js'

const WHO_KNOWS = undefined as never

const MISTAKES: readonly (readonly [words: string, call: (db: Db) => unknown])[] = [
  [
    'put: there is no option "tttl"; there are signal, timeout, ttl',
    (db) => db.kv.put('k', 'v', { tttl: '1s' } as never),
  ],
  ['put: options are an object, not number', (db) => db.kv.put('k', 'v', 5 as never)],
  ['put: options are an object, not Null', (db) => db.kv.put('k', 'v', null as never)],
  ['ifVersion is "1", not a version', (db) => db.kv.put('k', 'v', { ifVersion: '1' as never })],
  ['ifVersion is -1, not a version', (db) => db.kv.delete('k', { ifVersion: -1 })],
  ['delete: there is no option "ttl"', (db) => db.kv.delete('k', { ttl: '1s' } as never)],
  ['condPut: there is no option "ttll"', (db) => db.kv.condPut('k', 'a', 'b', { ttll: 1 } as never)],
  ['update: a function is wanted, not undefined', (db) => db.kv.update('k', WHO_KNOWS)],
  ['update: there is no option "ifVersion"', (db) => db.kv.update('k', () => 'v', { ifVersion: 1 } as never)],
  ['get: there is no option "timeoutMs"', (db) => db.kv.get('k', { timeoutMs: 1 } as never)],
  [
    `consistency is "eventual", not 'linearizable' or 'stale'`,
    (db) => db.kv.get('k', { consistency: 'eventual' as never }),
  ],
  [`from is "nearest", not 'any' or 'primary'`, (db) => db.kv.getEntry('k', { from: 'nearest' as never })],
  ['getMany: a list of keys is wanted, not string', (db) => db.kv.getMany('abc' as never)],
  ['range: there is no option "prefx"', (db) => db.kv.range({ prefx: 'a' } as never)],
  ['range: options are an object, not string', (db) => db.kv.keys('a' as never)],
  ['count: there is no option "limit"', (db) => db.kv.count({ limit: 1 } as never)],
  ['watch: there is no option "form"', (db) => db.kv.watch('a', { form: 1 } as never)],
  [
    'commit: there is no option "ifVersion"',
    (db) =>
      db.kv
        .txn()
        .put('k', 'v')
        .commit({ ifVersion: 1 } as never),
  ],
  ['put: there is no option "tttl"; there are ttl, session', (db) => db.kv.txn().put('k', 'v', { tttl: 1 } as never)],
  ['put: there is no option "ifVersion"', (db) => db.kv.txn().put('k', 'v', { ifVersion: 1 } as never)],
  ['put: options are an object, not string', (db) => db.kv.txn().else((b) => b.put('k', 'v', '5m' as never))],
  ['session null is no session', (db) => db.kv.put('k', 'v', { session: null as never })],
  ['session undefined is no session', (db) => db.kv.put('k', 'v', { session: {} as never })],
  ['session undefined is no session', (db) => db.kv.txn().put('k', 'v', { session: {} as never })],
  [`typed: the schema's parse: a function is wanted, not undefined`, (db) => db.kv.typed(WHO_KNOWS)],
  [
    'lock: there is no option "tll"; there are signal, timeout, ttl, wait',
    (db) => db.lock('l', { tll: '1s' } as never),
  ],
  ['lock name: a string or bytes are wanted, not undefined', (db) => db.lock(WHO_KNOWS)],
  ['lock name is empty', (db) => db.lock('')],
  ['withLock: a function is wanted, not undefined', (db) => db.withLock('l', WHO_KNOWS)],
  ['withLock: a function is wanted, not undefined', (db) => db.withLock('l', { ttl: '1s' }, WHO_KNOWS)],
  ['elect: there is no option "vaule"', (db) => db.elect('e', { vaule: 'x' } as never)],
  ['value of a leader: a string is wanted, not Object', (db) => db.elect('e', { value: {} as never })],
  ['election name: a string or bytes are wanted, not number', (db) => db.leader(5 as never)],
  ['observe: there is no option "wait"', (db) => db.observe('e', { wait: 1 } as never).next()],
  ['locks: there is no option "limit"', (db) => db.locks({ limit: 1 } as never).next()],
  ['session: there is no option "tll"', (db) => db.session({ tll: '1s' } as never)],
  ['name of a session: a string is wanted, not number', (db) => db.session({ name: 5 as never })],
  ['cached: there is no option "leese"', (db) => db.cached({ leese: '1s' } as never)],
  ['resolve: there is no option "wait"', (db) => db.resolve(1, { wait: 1 } as never)],
]

test.each(MISTAKES)('%s', async (words, call) => {
  const world = new World(1)
  const clerk = world.client()
  const db = new Db(clerk, world.ports)
  // Some say so at once, others by their promise.
  const error = await (async () => call(db))().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'not-applied' })
  expect((error as Error).message).toContain(words)
  expect(clerk.submitted).toBe(0)
  expect(clerk.watches).toBe(0)
})
