// What many watchers cost: memory and CPU of each replica without watchers, with idle ones, and while keys below their prefix are written; and
// what travels to idle ones. Starts a dev cluster of its own. Needs a build.
//   node scripts/watchers.mjs [--watchers N] [--clients N] [--rate WRITES_A_SECOND] [--value BYTES] [--seconds N]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Clerk, clientDialers } from '@coppice/clerk'
import { systemClock, systemRandom } from '@coppice/runtime'
import { connect } from '@coppice/vkv'
import { STREAM_KEYS } from '@coppice/vkv/core'

const COMMAND = fileURLToPath(new URL('../packages/cli/bin/coppice.js', import.meta.url))
const MiB = 1024 * 1024
const TICKS_PER_SECOND = 100
const PREFIX = 'watched/'

const { values } = parseArgs({
  options: {
    watchers: { type: 'string', default: '1000' },
    clients: { type: 'string', default: '100' },
    rate: { type: 'string', default: '200' },
    value: { type: 'string', default: '128' },
    seconds: { type: 'string', default: '10' },
  },
})
const [watchers, clients, rate, valueBytes, seconds] = ['watchers', 'clients', 'rate', 'value', 'seconds'].map((name) =>
  Number(values[name]),
)

const dir = mkdtempSync(join(tmpdir(), 'coppice-watchers-'))
const dev = spawn(process.execPath, [COMMAND, 'dev', '--data', dir, '--spares', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  const cluster = await started()
  await measure(cluster)
} finally {
  dev.kill('SIGINT')
  if (dev.exitCode === null) await once(dev, 'exit')
  rmSync(dir, { recursive: true, force: true })
}

async function started() {
  for (;;) {
    if (dev.exitCode !== null) throw new Error('the cluster did not start')
    try {
      const cluster = JSON.parse(readFileSync(join(dir, 'cluster.json'), 'utf8'))
      const db = await connect(
        cluster.configServers.map(({ address }) => address),
        { timeout: 5_000 },
      )
      await db.kv.put('started', 'yes')
      await db.close()
      return JSON.parse(readFileSync(join(dir, 'cluster.json'), 'utf8'))
    } catch {
      await sleep(200)
    }
  }
}

async function measure({ configServers, replicas }) {
  const addresses = configServers.map(({ address }) => address)
  const db = await connect(addresses)
  const traffic = { messages: 0, links: [] }
  let told = 0
  print('no watchers', await usage(replicas, seconds), '')
  const clerks = Array.from({ length: clients }, () => newClerk(addresses, traffic))
  let synced = 0
  for (let i = 0; i < watchers; i++) {
    const handle = clerks[i % clients].watch(
      { stream: STREAM_KEYS, topic: Buffer.from(PREFIX), exact: false },
      {
        changes: (batch) => {
          told += batch.length
          handle.consumed(batch.reduce((sum, { size }) => sum + size, 0))
        },
        synced: () => synced++,
        end: (error) => error.code === 'CLOSED' || console.error(error.message),
      },
    )
  }
  while (synced < watchers) await sleep(50)
  await sleep(2_000)
  const [messages, bytes] = [traffic.messages, received(traffic)]
  const idle = await usage(replicas, seconds)
  const frames = ((traffic.messages - messages) / seconds).toFixed(1)
  const perSecond = ((received(traffic) - bytes) / seconds / traffic.links.length).toFixed(1)
  print(`${watchers} idle`, idle, `${frames} messages/s to all of them; ${perSecond} bytes/s a connection (heartbeats)`)
  told = 0
  let written = 0
  const value = 'x'.repeat(valueBytes)
  const ends = performance.now() + seconds * 1_000
  const begun = performance.now()
  const writing = (async () => {
    const open = new Set()
    while (performance.now() < ends) {
      while (written < ((performance.now() - begun) / 1_000) * rate) {
        const put = db.kv.put(`${PREFIX}${written++ % 1_000}`, value).finally(() => open.delete(put))
        open.add(put)
      }
      await sleep(2)
    }
    await Promise.all(open)
  })()
  const busy = await usage(replicas, seconds)
  await writing
  const due = written * watchers
  for (let i = 0; i < 600 && told < due; i++) await sleep(50)
  const wholeSeconds = (performance.now() - begun) / 1_000
  print(`${watchers}, ${rate} writes/s`, busy, `${told} of ${due} changes told, ${Math.round(told / wholeSeconds)}/s`)
  await Promise.all([db.close(), ...clerks.map((clerk) => clerk.close())])
}

/** A clerk whose replica links are counted. */
function newClerk(configServers, traffic) {
  const { configDialer, replicaDialer } = clientDialers('main', undefined)
  const counted = {
    dial(address) {
      const link = replicaDialer.dial(address)
      traffic.links.push(link)
      let listener
      Object.defineProperty(link, 'onMessage', {
        get: () => (message) => {
          traffic.messages++
          listener?.(message)
        },
        set: (listen) => {
          listener = listen
        },
      })
      return link
    },
  }
  return new Clerk(
    { configServers },
    { clock: systemClock, random: systemRandom, configDialer, replicaDialer: counted },
  )
}

function received({ links }) {
  return links.reduce((sum, { receivedBytes }) => sum + (receivedBytes ?? 0), 0)
}

/** CPU over some seconds and memory at their end, of each replica. */
async function usage(replicas, overSeconds) {
  const before = replicas.map(({ pid }) => cpuTicks(pid))
  await sleep(overSeconds * 1_000)
  return replicas.map(({ id, pid }, i) => ({
    id,
    cpu: ((cpuTicks(pid) - before[i]) / TICKS_PER_SECOND / overSeconds) * 100,
    rss: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024,
  }))
}

function cpuTicks(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function print(what, replicas, more) {
  const each = replicas.map(({ id, cpu, rss }) => `${id} ${cpu.toFixed(1)} % ${(rss / MiB).toFixed(0)} MiB`)
  console.log(`${what.padEnd(24)} ${each.join('   ')}${more === '' ? '' : `\n${' '.repeat(25)}${more}`}`)
}
