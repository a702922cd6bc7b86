// The store in one minute: write, read, compare, list, delete.
//
//   coppice dev                    in one terminal
//   node examples/hello-kv.mjs     in another
import { connect } from '@coppice/vkv'

const db = await connect(`coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`)

// A write is on the disks of all members when it resolves. Its version grows with every write of the group.
const { version } = await db.kv.put('hello/greeting', 'hello')
console.log('written at version', version > 0)

// A read sees every write that had resolved when it began, whoever made it, at whichever replica it is answered.
console.log('read:', await db.kv.get('hello/greeting'))

// What may be expected to happen is a value, never an exception.
const swap = await db.kv.condPut('hello/greeting', 'good morning', 'good evening')
console.log('swapped:', swap.ok, '- it was', swap.ok ? '' : swap.current?.value)

// Values may be JSON; keys are in the order of their bytes.
const users = db.kv.json()
await users.put('hello/user/1', { name: 'Ada' })
await users.put('hello/user/2', { name: 'Grace' })
for await (const { key, value } of users.range({ prefix: 'hello/user/' })) console.log(key, 'is', value.name)

// Several keys at one index: all or nothing.
const moved = await db.kv
  .txn()
  .if('hello/user/1', { exists: true })
  .delete('hello/user/1')
  .delete('hello/user/2')
  .commit()
console.log('both deleted:', moved.ok)

await db.kv.delete('hello/greeting')
await db.close()
