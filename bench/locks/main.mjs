#!/usr/bin/env node
// What a lock lets through whose holder stands still for longer than it lasts. The same job on Redlock (three Redis servers), on the locks of
// etcd3 (three members) and on Coppice (three config servers, three replicas): one holder reads a counter, is stopped with SIGSTOP for three
// times the ttl, goes on and writes one more; meanwhile another takes the lock and counts on. A system whose server is not installed is left out.
//
//   npm run bench:locks [-- --rounds 5] [--ttl 2]
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const COMMAND = fileURLToPath(new URL('../../packages/cli/bin/coppice.js', import.meta.url))
/** Increments of the other worker while the first stands still. */
const OTHERS = 3
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, ttl: { type: 'string', default: '2' } },
})
const rounds = Number(flags.rounds)
const ttlMs = Number(flags.ttl) * 1_000
const dir = mkdtempSync(join(tmpdir(), 'coppice-locks-'))
const running = new Set()

async function measure(name, servers) {
  const stopped = new Worker(name, servers)
  const other = new Worker(name, servers)
  await Promise.all([stopped.next('ready'), other.next('ready')])
  let acknowledged = 0
  let stale = 0
  let refused = 0
  for (let round = 1; round <= rounds; round++) {
    const late = stopped.go()
    await stopped.next('computing')
    stopped.child.kill('SIGSTOP')
    const until = performance.now() + 3 * ttlMs
    for (let i = 0; i < OTHERS; i++) if ((await other.go()).ended === 'wrote') acknowledged++
    await sleep(Math.max(0, until - performance.now()))
    stopped.child.kill('SIGCONT')
    const ended = await late
    if (ended.ended === 'wrote') {
      acknowledged++
      // The other one has written in between: what was computed was computed from an old value.
      stale++
    } else refused++
    console.error(`${name}, round ${round}: the stopped holder ${ended.ended} ${ended.code ?? ended.value ?? ''}`)
  }
  const last = await other.go()
  const counter = last.value - 1
  await Promise.all([stopped.end(), other.end()])
  const lost = acknowledged - counter
  return [name, rounds * (OTHERS + 1), acknowledged, stale, refused, counter, lost]
}

class Worker {
  #waiting = []

  constructor(system, servers) {
    this.child = spawn(process.execPath, [join(HERE, 'worker.mjs'), system, servers, String(ttlMs)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: HERE,
    })
    running.add(this.child)
    this.ended = new Promise((resolve) => this.child.once('exit', resolve))
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const said = JSON.parse(line)
      const at = this.#waiting.findIndex(({ name }) => said[name] !== undefined)
      if (at >= 0) this.#waiting.splice(at, 1)[0].resolve(said)
    })
  }
  next(name) {
    return new Promise((resolve) => this.#waiting.push({ name, resolve }))
  }
  go() {
    const ended = this.next('ended')
    this.child.stdin.write('go\n')
    return ended
  }
  async end() {
    this.child.stdin.end()
    await Promise.race([this.ended, sleep(5_000)])
    this.child.kill('SIGKILL')
    running.delete(this.child)
  }
}

// ---- the servers
async function startRedis() {
  if (!isInstalled('redis-server')) return undefined
  const ports = await freePorts(3)
  for (const port of ports) {
    const place = join(dir, `redis-${port}`)
    mkdirSync(place)
    serve('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', place, '--appendonly', 'yes'])
  }
  await Promise.all(ports.map(untilOpen))
  return ports.join(',')
}

async function startEtcd() {
  if (!isInstalled('etcd')) return undefined
  const ports = await freePorts(6)
  const members = [0, 1, 2].map((i) => ({
    name: `e${i}`,
    client: `http://127.0.0.1:${ports[2 * i]}`,
    peer: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }))
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',')
  for (const { name, client, peer } of members) {
    const clients = ['--listen-client-urls', client, '--advertise-client-urls', client]
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer]
    const common = ['--name', name, '--data-dir', join(dir, name), '--initial-cluster', cluster, '--log-level', 'error']
    serve('etcd', [...common, ...clients, ...peers])
  }
  for (const { client } of members) {
    for (;;) {
      const answer = await fetch(`${client}/health`).then(
        (response) => response.json(),
        () => undefined,
      )
      if (answer?.health === 'true') break
      await sleep(100)
    }
  }
  return members.map(({ client }) => client).join(',')
}

async function startCoppice() {
  const args = [COMMAND, 'dev', '--data', join(dir, 'coppice'), '--port', '0', '--spares', '0']
  const dev = serve(process.execPath, args, 'pipe')
  let text = ''
  return new Promise((resolve) => {
    dev.stdout.on('data', (chunk) => {
      text += chunk
      const ready = /ready: (coppice:\S+)/.exec(text)
      if (ready !== null) resolve(ready[1])
    })
  })
}

function serve(program, args, stdout = 'ignore') {
  const child = spawn(program, args, { stdio: ['ignore', stdout, 'ignore'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function stopAll() {
  const ends = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)))
  for (const child of running) child.kill('SIGCONT')
  for (const child of running) child.kill('SIGINT')
  await Promise.race([Promise.all(ends), sleep(10_000)])
  for (const child of running) child.kill('SIGKILL')
  running.clear()
}

function isInstalled(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
    }),
  )
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function untilOpen(port) {
  const { connect } = await import('node:net')
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await sleep(50)
  }
}

/** The clients of the other systems, as the lock file names them. */
function installClients() {
  const lock = readFileSync(join(HERE, 'package-lock.json'), 'utf8')
  const stamp = join(HERE, 'node_modules/.installed-lock.json')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.error('installing the clients of the other systems …')
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, error } = spawnSync('npm', args, { cwd: HERE, stdio: ['ignore', 'ignore', 'inherit'] })
  if (error !== undefined || status !== 0) throw new Error(`npm ci in bench/locks failed ${error?.message ?? ''}`)
  writeFileSync(stamp, lock)
}

try {
  installClients()
  const rows = []
  for (const [name, start] of [
    ['redlock', startRedis],
    ['etcd3', startEtcd],
    ['coppice', startCoppice],
  ]) {
    const servers = await start()
    if (servers === undefined) {
      console.error(`${name}: its server is not installed; left out`)
      continue
    }
    rows.push(await measure(name, servers))
    await stopAll()
  }
  console.log(
    `\n${rounds} rounds: a holder is stopped for ${(3 * ttlMs) / 1_000} s with a ttl of ${ttlMs / 1_000} s, another counts on\n`,
  )
  const columns = ['system', 'increments', 'acknowledged', 'stale writes let through', 'refused', 'counter', 'lost']
  console.log(`| ${columns.join(' | ')} |\n|${columns.map(() => ' --- ').join('|')}|`)
  for (const row of rows) console.log(`| ${row.join(' | ')} |`)
} finally {
  await stopAll()
  rmSync(dir, { recursive: true, force: true })
}
