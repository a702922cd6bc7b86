// Feature flags that every server has in its memory and that change everywhere within milliseconds: read once, then watched.
//
//   coppice dev
//   node examples/feature-flags.mjs
import { once, EventEmitter } from 'node:events'
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const PREFIX = 'flags/'

/** The flags as this process knows them. `isOn` costs a look into a map; `changed` is emitted after each change. */
class Flags extends EventEmitter {
  #flags = new Map()
  #stop = new AbortController()
  #done = Promise.resolve()

  static async open(db) {
    const flags = new Flags()
    let from = 0
    // What there is, page by page; the watch then begins at the first page's index, so that no change is missed in between.
    for await (const { entries, index } of db.kv.range({ prefix: PREFIX }).pages()) {
      from ||= index
      for (const { key, value } of entries) flags.#flags.set(key, value)
    }
    flags.#done = flags.#follow(db, from)
    return flags
  }

  isOn(name) {
    return this.#flags.get(PREFIX + name) === 'on'
  }

  async close() {
    this.#stop.abort()
    await this.#done
  }

  async #follow(db, from) {
    try {
      for await (const event of db.kv.watch(PREFIX, { from, signal: this.#stop.signal })) {
        if (event.type === 'sync') continue
        // A flag that was deleted, or whose ttl has ended, is off.
        if (event.type === 'put') this.#flags.set(event.key, event.value)
        else this.#flags.delete(event.key)
        this.emit('changed', event.key)
      }
    } catch (error) {
      if (error.name !== 'AbortError') this.emit('error', error)
    }
  }
}

const operator = await connect(url)
await operator.kv.put('flags/new-checkout', 'off')

// Two web servers.
const servers = await Promise.all([connect(url), connect(url)])
const flags = await Promise.all(servers.map((db) => Flags.open(db)))
console.log('at first:', flags.map((each) => each.isOn('new-checkout')).join(' '))

let changes = Promise.all(flags.map((each) => once(each, 'changed')))
await operator.kv.put('flags/new-checkout', 'on')
await changes
console.log('turned on:', flags.map((each) => each.isOn('new-checkout')).join(' '))

// For one second only: nobody has to remember to turn it off.
changes = Promise.all(flags.map((each) => once(each, 'changed')))
await operator.kv.put('flags/new-checkout', 'on', { ttl: '1s' })
await changes
changes = Promise.all(flags.map((each) => once(each, 'changed')))
await changes
console.log('a second later:', flags.map((each) => each.isOn('new-checkout')).join(' '))

await Promise.all(flags.map((each) => each.close()))
await Promise.all([operator, ...servers].map((db) => db.close()))
