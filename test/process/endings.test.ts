// Keys with a ttl, sessions and idempotency keys with real processes: members are killed with kill -9, moved and handed over, and so are clients.
// Nothing ends early, everything ends, a session ends with its keys, and what a killed client began is done once.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { pause, until, within } from './support/wait.js'

const CLIENT = fileURLToPath(new URL('support/ending-client.mjs', import.meta.url))
let cluster: Cluster
let db: Db
let moves = 0
const children = new Set<ChildProcess>()

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 4 })
  db = await cluster.connect()
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await cluster?.stop()
})

/** A client in a process of its own; what it said, line by line. */
class Client {
  readonly lines: string[] = []
  readonly ended: Promise<void>
  readonly #child: ChildProcess

  constructor(...args: string[]) {
    const child = spawn(process.execPath, [CLIENT, cluster.addresses.join(','), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    children.add(child)
    child.stdout!.on('data', (data) => this.lines.push(...String(data).trim().split('\n')))
    this.ended = new Promise((resolve) => {
      child.once('close', () => {
        children.delete(child)
        resolve()
      })
    })
  }

  /** The first line that begins so. */
  async says(word: string): Promise<string> {
    return until(`"${word}" of a client`, () => this.lines.find((line) => line.startsWith(word)))
  }

  kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    return within('end of a client', this.ended)
  }
}

/** A member dies, comes back, the group is moved and handed over. */
async function trouble(): Promise<void> {
  const dead = await cluster.primary()
  await dead.kill()
  await cluster.whole()
  await dead.start()
  const { members } = (await cluster.view()).state
  const spare = cluster.replicas.find(({ id }) => !members.includes(id))!
  await until('planned change', async () => {
    const to = [members[1]!, spare.id, members[2]!]
    return (await cluster.admin.reconfigure(to, `move-${++moves}`)).ok ? to : undefined
  })
  await cluster.whole()
}

test('ttl_throughKillsAndChanges_neverEarlyAndInTheEndGone', async () => {
  let busy = true
  const early: string[] = []
  let late = 0
  let keys = 0
  const work = async (worker: number): Promise<void> => {
    for (let i = 0; busy; i++) {
      const key = `ttl/${worker}/${i}`
      const ttl = 100 + ((worker * 37 + i * 91) % 900)
      const asked = performance.now()
      await db.kv.put(key, 'v', { ttl })
      const answered = performance.now()
      keys++
      for (let value: string | undefined = 'v'; value !== undefined; await pause(5)) {
        value = await db.kv.get(key)
        const now = performance.now()
        if (value === undefined && now < asked + ttl) early.push(`${key} after ${now - asked} of ${ttl} ms`)
        if (value === undefined) late = Math.max(late, now - answered - ttl)
      }
    }
  }
  const workers = Array.from({ length: 24 }, (_, worker) => work(worker))
  await trouble()
  await trouble()
  busy = false
  await Promise.all(workers)
  expect(early).toEqual([])
  process.stdout.write(`  ${keys} keys with a ttl, the latest was seen gone ${late.toFixed(0)} ms after its time\n`)
})

test('session_throughKillsAndChanges_livesOn', async () => {
  const session = await db.session({ ttl: '20s', name: 'of the test' })
  await db.kv.put('mine', 'v', { session })
  await trouble()
  expect(session.valid).toBe(true)
  expect(await db.kv.get('mine')).toBe('v')
  await session.close()
  expect(session.signal.aborted).toBe(true)
  expect(await db.kv.get('mine')).toBeUndefined()
})

test('session_processKilled_endsWithItsKeyAndNotBeforeItsTime', async () => {
  const client = new Client('session', '2s', 'theirs')
  const id = Number((await client.says('open')).split(' ')[1])
  const listed = await runCommand(['session', 'ls', '-o', 'json', '--config', cluster.addresses.join(',')])
  expect(JSON.parse(listed.out)).toMatchObject({ sessions: [{ id, name: 'to be killed', ttlMs: 2_000, keys: 1 }] })
  // Kept alive for longer than its ttl.
  await pause(2_500)
  expect(await db.kv.get('theirs')).toBe(String(id))
  await client.kill()
  await until('end of the session', async () => (await db.kv.get('theirs')) === undefined)
  for await (const session of db.sessions()) expect(session.id).not.toBe(id)
  await expect(db.kv.put('theirs', 'v', { session: id })).rejects.toMatchObject({
    code: 'SESSION_ENDED',
    outcome: 'not-applied',
  })
})

test('session_revokedByAnOperator_itsProcessLearnsWhy', async () => {
  const session = await db.session({ ttl: '1s' })
  const told = new Promise<unknown>((resolve) => {
    session.signal.addEventListener('abort', () => resolve(session.signal.reason), { once: true })
  })
  const config = ['--config', cluster.addresses.join(',')]
  expect(await runCommand(['session', 'revoke', String(session.id), ...config])).toMatchObject({ code: 0 })
  expect(await within('news of the revocation', told)).toMatchObject({ code: 'SESSION_ENDED' })
  expect(await runCommand(['session', 'revoke', String(session.id), ...config])).toMatchObject({ code: 3 })
})

test('idempotencyKey_clientKilledAtAnyMoment_secondOneDoesItOnce', async () => {
  let dead = 0
  let done = 0
  for (let i = 0; i < 8; i++) {
    const [key, name] = [`counter/${i}`, `step ${i}`]
    const first = new Client('count', key, name)
    await first.says('counting')
    await pause(i * 4)
    await first.kill()
    if (first.lines.some((line) => line.startsWith('counted'))) done++
    else dead++
    if (i === 3) await trouble()
    const second = new Client('count', key, name)
    const answer = await second.says('counted')
    await second.ended
    expect(answer.split(' ')[1]).toBe('1')
    for (const line of first.lines) if (line.startsWith('counted')) expect(line).toBe(answer)
    expect(await db.kv.get(key)).toBe('1')
  }
  process.stdout.write(`  ${dead} clients died without an answer, ${done} with one\n`)
})

test('command_putsWithATtlAndUnderAnIdempotencyKey', async () => {
  const config = ['--config', cluster.addresses.join(',')]
  const put = (value: string) => runCommand(['kv', 'put', 'cli', value, '--idempotency-key', 'cli 1', ...config])
  const first = await put('a')
  expect(first).toMatchObject({ code: 0 })
  expect(await put('a')).toMatchObject({ code: 0, out: first.out })
  expect(await put('b')).toMatchObject({ code: 4 })
  await runCommand(['kv', 'put', 'cli', 'short', '--ttl', '300ms', ...config])
  await until('end of the key', async () => (await db.kv.get('cli')) === undefined)
})
