#!/usr/bin/env node
// What it costs that many wait for one lock: memory and processor time of every process while nothing happens, messages on the waiters'
// connections meanwhile, and how long the lock takes to go through all of them. Starts a cluster of its own. Needs a build, and Linux.
//
//   node scripts/waiters.mjs [--waiters 1000] [--processes 1] [--idle 20]
import { fork, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const HERE = fileURLToPath(import.meta.url)
const COMMAND = fileURLToPath(new URL('../packages/cli/bin/coppice.js', import.meta.url))
const LOCK = 'measured'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

if (process.argv[2] === '--wait') await waitersProcess(process.argv[3], Number(process.argv[4]))
else await main()

// ---- a process full of waiters: each takes the lock once and gives it back
async function waitersProcess(url, count) {
  const sockets = { sent: 0, received: 0 }
  const { write } = net.Socket.prototype
  net.Socket.prototype.write = function counted(...args) {
    sockets.sent++
    if (this.counted !== true) {
      this.counted = true
      this.on('data', () => sockets.received++)
    }
    return write.apply(this, args)
  }
  const { connect } = await import('@coppice/vkv')
  const db = await connect(url)
  const tokens = []
  const waiting = Array.from({ length: count }, async () => {
    const lock = await db.lock(LOCK, { timeout: '1h', ttl: '10s' })
    tokens.push(lock.token)
    await lock.release()
  })
  process.on('message', () => process.send({ sockets: { ...sockets } }))
  await Promise.all(waiting)
  process.send({ tokens })
  await db.close()
  process.disconnect()
}

// ---- the parent: cluster, holder, measurements
async function main() {
  const { values: flags } = parseArgs({
    options: {
      waiters: { type: 'string', default: '1000' },
      processes: { type: 'string', default: '1' },
      idle: { type: 'string', default: '20' },
    },
  })
  const waiters = Number(flags.waiters)
  const dir = mkdtempSync(join(tmpdir(), 'coppice-waiters-'))
  const dev = spawn(process.execPath, [COMMAND, 'dev', '--data', dir, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const children = []
  try {
    const { connect } = await import('@coppice/vkv')
    const url = await readyAddress(dev)
    const db = await connect(url, { timeout: '60s' })
    const holder = await db.lock(LOCK, { ttl: '10s' })
    const perProcess = Math.ceil(waiters / Number(flags.processes))
    for (let left = waiters; left > 0; left -= perProcess) {
      children.push(fork(HERE, ['--wait', url, String(Math.min(left, perProcess))], { stdio: 'inherit' }))
    }
    const begun = performance.now()
    await until(async () => (await queued(db)) === waiters)
    console.log(`${waiters} waiters in ${children.length} process(es) queued after ${since(begun)}`)
    await sleep(5_000)

    const processes = [
      ...(await clusterProcesses(dir)),
      ...children.map(({ pid }, i) => ({ id: `waiters ${i + 1}`, pid })),
      { id: 'holder', pid: process.pid },
    ]
    const idleMs = Number(flags.idle) * 1_000
    const before = processes.map(({ pid }) => usageOf(pid))
    const socketsBefore = await Promise.all(children.map(socketsOf))
    await sleep(idleMs)
    const after = processes.map(({ pid }) => usageOf(pid))
    const socketsAfter = await Promise.all(children.map(socketsOf))
    console.log(`\nidle for ${flags.idle} s:\n`)
    console.log(`${'process'.padEnd(14)}${'memory MiB'.padStart(12)}${'CPU %'.padStart(8)}`)
    processes.forEach(({ id }, i) => {
      const cpu = ((after[i].cpuMs - before[i].cpuMs) / idleMs) * 100
      console.log(`${id.padEnd(14)}${after[i].memoryMiB.toFixed(0).padStart(12)}${cpu.toFixed(2).padStart(8)}`)
    })
    const perSecond = (name) =>
      socketsAfter.reduce((sum, s, i) => sum + s[name] - socketsBefore[i][name], 0) / Number(flags.idle)
    console.log(
      `\nthe waiters' connections: ${perSecond('sent').toFixed(1)} writes and ${perSecond('received').toFixed(1)} reads a second`,
    )

    const done = Promise.all(children.map((child) => message(child, 'tokens')))
    const released = performance.now()
    await holder.release()
    const tokens = (await done).flat().sort((a, b) => a - b)
    const passedMs = performance.now() - released
    console.log(
      `the lock went through all ${tokens.length} in ${(passedMs / 1_000).toFixed(2)} s, ${(passedMs / tokens.length).toFixed(2)} ms each`,
    )
    if (new Set(tokens).size !== waiters) throw new Error('tokens are not all different')
    await db.close()
  } finally {
    for (const child of children) child.kill()
    dev.kill('SIGINT')
    await new Promise((resolve) => (dev.exitCode === null ? dev.once('exit', resolve) : resolve()))
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Where a cluster of "coppice dev" can be reached, once it runs. */
function readyAddress(dev) {
  let text = ''
  return new Promise((resolve, reject) => {
    dev.once('exit', (code) => reject(new Error(`coppice dev ended with ${code}`)))
    dev.stdout.on('data', (chunk) => {
      text += chunk
      const ready = /ready: (coppice:\S+)/.exec(text)
      if (ready !== null) resolve(ready[1])
    })
  })
}

async function queued(db) {
  for await (const lock of db.locks({ prefix: LOCK })) if (lock.name === LOCK) return lock.waiters
  return 0
}

async function clusterProcesses(dir) {
  const child = spawn(process.execPath, [COMMAND, 'status', '-o', 'json', '--data', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  return JSON.parse(text).processes.map(({ id, pid }) => ({ id, pid }))
}

/** Memory and processor time of a process, as Linux counts them. */
function usageOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 10, memoryMiB: Number(resident[1]) / 1024 }
}

function socketsOf(child) {
  const answer = message(child, 'sockets')
  child.send('sockets')
  return answer
}

function message(child, name) {
  return new Promise((resolve) => {
    const listen = (received) => {
      if (received[name] === undefined) return
      child.off('message', listen)
      resolve(received[name])
    }
    child.on('message', listen)
  })
}

async function until(condition) {
  while (!(await condition())) await sleep(100)
}
function since(begun) {
  return `${((performance.now() - begun) / 1_000).toFixed(2)} s`
}
