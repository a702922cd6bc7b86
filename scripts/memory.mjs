// How much memory a million keys take, how long a restart with them lasts and how long the event loop stands still while a snapshot is
// written. Starts a config server and replicas as processes of its own, loads the keys through a clerk, then kills the primary with
// SIGKILL and starts it again. Needs a build.   node scripts/memory.mjs [--keys N] [--bytes N] [--replicas N] [--dir DIR]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connectClerk } from '@coppice/clerk'
import { encodePut } from '@coppice/vkv/core'

const HERE = fileURLToPath(import.meta.url)
const MiB = 1024 * 1024
/** Calls in flight while loading. */
const IN_FLIGHT = 4_000
/** Keys are written again for no longer than this. */
const LONGEST_MS = 120_000

// ---- a server process: prints nothing, sends what its parent asks for
async function serve(role, id, listen, dataDir, config, wanted) {
  const send = (message) => process.connected && process.send(message)
  const logger = {
    event: (name, fields) => send({ event: name, fields }),
    debug: () => undefined,
    warn: (text, fields) => send({ warning: text, fields }),
    error: (text, fields) => send({ error: text, fields }),
  }
  const peers = [{ id: 'c1', address: config }]
  const { tuneCollector } = await import('@coppice/runtime/server')
  tuneCollector()
  let server
  if (role === 'config') {
    const { startConfigServer } = await import('@coppice/configsvc/server')
    server = await startConfigServer({ dataDir, id, listen, peers, wanted: Number(wanted), logger })
  } else {
    const { startVkvReplica } = await import('@coppice/vkv/server')
    server = await startVkvReplica({ dataDir, id, group: 'main', listen, configServers: peers, logger })
  }
  process.on('message', () => send({ memory: process.memoryUsage() }))
  process.on('disconnect', () => void server.stop().then(() => process.exit(0)))
  const { exitCode } = await server.stopped
  process.exit(exitCode)
}

// ---- the parent
class Child {
  events = []
  #waiting = []

  constructor(args) {
    this.args = args
    this.begun = performance.now()
    this.process = fork(HERE, ['--serve', ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.process.on('message', (message) => {
      if (message.error !== undefined) console.error(`${args[1]}: ${message.error}`)
      this.events.push(message)
      this.#waiting = this.#waiting.filter((w) => !w(message))
    })
  }
  /** The first message from now on that `test` accepts. */
  next(test) {
    return new Promise((resolve) => this.#waiting.push((m) => test(m) && (resolve(m), true)))
  }
  seen(name) {
    const past = this.events.find((m) => m.event === name)
    return past === undefined ? this.next((m) => m.event === name) : Promise.resolve(past)
  }
  async memory() {
    const answer = this.next((m) => m.memory !== undefined)
    this.process.send('memory')
    return (await answer).memory
  }
  async kill() {
    const exit = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await exit
  }
}

async function freeAddress() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return `127.0.0.1:${port}`
}

/** Resident memory as the kernel counts it: anonymous alone, because pages of the mapped store can be dropped at any time. */
function anonymousMiB(pid) {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024
  } catch {
    return undefined
  }
}

/** Writes keys one after the other, and goes on from the first until `enough()` says so. */
async function load(clerk, keys, bytes, enough) {
  const encoder = new TextEncoder()
  let next = 0
  const worker = async () => {
    while (next < keys || !enough()) {
      const n = next++ % keys
      const value = new Uint8Array(bytes).fill(n)
      await clerk.submit(encodePut(encoder.encode(`key-${String(n).padStart(9, '0')}`), value), { timeoutMs: 120_000 })
      if (process.stderr.isTTY && n % 10_000 === 0) process.stderr.write(`\r${n} of ${keys} keys`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
}

async function measure({ keys, bytes, replicas, dir }) {
  const config = await freeAddress()
  const children = new Map()
  const start = (role, id) => {
    const listen = role === 'config' ? config : '127.0.0.1:0'
    const child = new Child([role, id, listen, join(dir, id), config, String(replicas)])
    children.set(id, child)
    return child
  }
  const ids = Array.from({ length: replicas }, (_, i) => `r${i + 1}`)
  try {
    start('config', 'c1')
    for (const id of ids) start('replica', id)
    const clerk = await connectClerk([config], { timeout: '60s' })
    const claimed = await Promise.race(
      ids.map((id) =>
        children
          .get(id)
          .seen('primaryClaimed')
          .then(() => id),
      ),
    )
    const primary = children.get(claimed)
    const begun = performance.now()
    await load(clerk, keys, bytes, () => true)
    const seconds = (performance.now() - begun) / 1000
    console.log(
      `loaded ${keys} keys of ${bytes} bytes in ${seconds.toFixed(1)} s (${Math.round(keys / seconds)} puts/s, ${replicas} replicas)`,
    )

    // Each member writes a snapshot once its log is long enough; keys are written again until all have.
    const written = ids.map((id) => children.get(id).seen('snapshotCommitted'))
    let all = false
    void Promise.all(written).then(() => (all = true))
    const until = performance.now() + LONGEST_MS
    await load(clerk, keys, bytes, () => all || performance.now() > until)

    const { rss, heapUsed, external, arrayBuffers } = await primary.memory()
    const anonymous = anonymousMiB(primary.process.pid)
    const mib = (n) => `${Math.round(n / MiB)} MiB`
    console.log(
      `primary ${claimed}: resident ${mib(rss)}` +
        (anonymous === undefined ? '' : ` (${Math.round(anonymous)} MiB of its own, the rest is mapped files)`) +
        `, JavaScript heap ${mib(heapUsed)}, array buffers ${mib(arrayBuffers)}, external ${mib(external)}`,
    )
    for (const [id, child] of children) {
      for (const { event, fields } of child.events) {
        if (event !== 'snapshotCommitted') continue
        console.log(
          `${id}: snapshot of ${mib(fields.bytes)} written; longest stall of the event loop meanwhile ${fields.longestStallMs} ms, at most ${fields.longestStallCpuMs} ms of it computing`,
        )
      }
      const stalls = child.events.filter((m) => m.event === 'loopStalled').map((m) => m.fields.sleptMs)
      if (stalls.length > 0)
        console.log(`${id}: event loop late by over 25 ms ${stalls.length} times, at most ${Math.max(...stalls)} ms`)
    }
    await primary.kill()
    const again = start('replica', claimed)
    const { fields } = await again.seen('recovered')
    const total = performance.now() - again.begun
    console.log(
      `restart of ${claimed}: ${(total / 1000).toFixed(2)} s from start of the process, of which ${(fields.loadMs / 1000).toFixed(2)} s for ` +
        `${mib(fields.snapshotBytes)} of snapshot and ${mib(fields.logBytes)} of log in ${fields.records} records`,
    )
    await clerk.close()
  } finally {
    for (const child of children.values()) child.process.kill('SIGKILL')
  }
}

if (process.argv[2] === '--serve') {
  await serve(...process.argv.slice(3))
} else {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '1000000' },
      bytes: { type: 'string', default: '100' },
      replicas: { type: 'string', default: '3' },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const dir = mkdtempSync(join(values.dir, 'coppice-memory-'))
  try {
    await measure({ keys: Number(values.keys), bytes: Number(values.bytes), replicas: Number(values.replicas), dir })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
