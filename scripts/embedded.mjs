// node scripts/embedded.mjs [RUNS]: how long an embedded cluster takes to start, to close, and to write and read one value after the other.
import { setup } from './setup.mjs'

const runs = Number(process.argv[2] ?? 7)
await setup()
const loading = performance.now()
const { startEmbedded } = await import('@coppice/embedded')
const loadMs = performance.now() - loading

const CALLS = 500
const KINDS = {
  'one config server': {},
  'three config servers': { configServers: 3 },
}

async function timed(work) {
  const began = performance.now()
  const value = await work()
  return [performance.now() - began, value]
}

async function once(options) {
  const [start, cluster] = await timed(() => startEmbedded(options))
  const [first, db] = await timed(async () => {
    const db = await cluster.connect()
    await db.kv.put('a', '1')
    return db
  })
  const [puts] = await timed(async () => {
    for (let i = 0; i < CALLS; i++) await db.kv.put('a', String(i))
  })
  const [gets] = await timed(async () => {
    for (let i = 0; i < CALLS; i++) await db.kv.get('a')
  })
  const { primary } = await cluster.status()
  await cluster.crash(primary)
  const [failover] = await timed(() => db.kv.put('a', 'b'))
  const [close] = await timed(() => cluster.close())
  return { start, first, put: puts / CALLS, get: gets / CALLS, failover, close }
}

console.log(`loading the package: ${loadMs.toFixed(0)} ms; medians (and the worst) of ${runs} runs, ms:`)
for (const [kind, options] of Object.entries(KINDS)) {
  const found = []
  for (let i = 0; i < runs; i++) found.push(await once(options))
  const parts = Object.keys(found[0]).map((what) => {
    const sorted = found.map((each) => each[what]).sort((a, b) => a - b)
    const digits = what === 'put' || what === 'get' ? 3 : 0
    return `${what} ${sorted[Math.floor(runs / 2)].toFixed(digits)} (${sorted.at(-1).toFixed(digits)})`
  })
  console.log(`${kind}: ${parts.join(', ')}`)
}
