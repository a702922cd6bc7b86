// One of several processes leads; when it dies another one does, and the former leader could not write any more if it came back.
//
//   coppice dev
//   node examples/leader-election.mjs
import { fork } from 'node:child_process'
import { EventEmitter, on, once } from 'node:events'
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const NAME = 'nightly-report'

if (process.argv[2] === 'candidate') await candidate(process.argv[3])
else await main()

async function main() {
  const news = new EventEmitter()
  for (const name of ['one', 'two', 'three']) {
    const child = fork(import.meta.filename, ['candidate', name])
    child.on('message', ({ token }) => news.emit('leader', { name, token, child }))
  }
  const db = await connect(url, { timeout: '60s' })
  const led = []
  for await (const [{ name, token, child }] of on(news, 'leader')) {
    led.push({ name, token })
    const known = await db.leader(NAME)
    console.log(`leader ${led.length}: the store names it too: ${known?.value === name}`)
    // kill -9: it cannot resign. Whoever waits next leads once its ttl has passed.
    child.kill('SIGKILL')
    await once(child, 'exit')
    if (led.length === 3) break
  }
  console.log('three different leaders:', new Set(led.map(({ name }) => name)).size === 3)
  console.log('their tokens grow:', led[0].token < led[1].token && led[1].token < led[2].token)
  await db.close()
}

async function candidate(name) {
  const db = await connect(url, { timeout: '60s' })
  // Waits until it leads. The value is what it says of itself to those who ask who leads.
  const lead = await db.elect(NAME, { ttl: '1s', value: name })
  await lead.kv.put('report/by', name) // refused by the server once another leads
  process.send({ token: lead.token })
  await once(lead.signal, 'abort') // work as long as this has not happened
}
