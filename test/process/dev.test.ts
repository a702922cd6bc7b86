// `coppice dev`: a whole cluster by one command, and nothing of it left when it ends, however it ends.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { allGone, Dev, isAlive } from './support/dev.js'
import { until } from './support/wait.js'

const dev = new Dev()
beforeAll(() => dev.start())
afterAll(() => dev.remove())

interface Status {
  readonly epoch: number
  readonly primary: string
  readonly unreachable: readonly string[]
  readonly processes: readonly {
    readonly id: string
    readonly role: string
    readonly pid: number
    readonly epoch: number
    readonly nextIndex: number
    readonly commitIndex: number
    readonly lease: unknown
  }[]
}

async function status(): Promise<Status> {
  const { out, code } = await dev.coppice(['status', '-o', 'json'])
  expect(code).toBe(0)
  return JSON.parse(out) as Status
}

test('status_everyProcessWithRoleAndPid', async () => {
  const { processes } = await until('roles', async () => {
    const now = await status()
    return now.processes.filter(({ role }) => role === 'backup').length === 2 ? now : undefined
  })
  expect(processes.map(({ id }) => id)).toEqual(['c1', 'c2', 'c3', 'r1', 'r2', 'r3', 'r4'])
  const roles = processes.map(({ role }) => role)
  expect(roles.filter((role) => role === 'leader' || role === 'configsvc')).toHaveLength(3)
  expect(roles.filter((role) => role === 'leader')).toHaveLength(1)
  expect(roles.filter((role) => role === 'primary')).toHaveLength(1)
  expect(roles.filter((role) => role === 'spare')).toHaveLength(1)
  expect(processes.map(({ pid }) => pid).sort()).toEqual(dev.servers.map(({ pid }) => pid).sort())
  for (const { id, role, lease } of processes) if (role === 'primary') expect(lease, id).not.toBe('none')
})

test('kv_fromTheShell', async () => {
  expect((await dev.coppice(['kv', 'put', 'greeting', 'hello'])).code).toBe(0)
  expect((await dev.coppice(['kv', 'get', 'greeting'])).out).toBe('hello')
  const bytes = Buffer.from([0, 255, 10, 128])
  expect((await dev.coppice(['kv', 'put', 'bytes', '-'], { stdin: bytes })).code).toBe(0)
  const json = JSON.parse((await dev.coppice(['kv', 'get', 'bytes', '-o', 'json'])).out) as { valueBase64: string }
  expect(Buffer.from(json.valueBase64, 'base64')).toEqual(bytes)
  expect(await dev.coppice(['kv', 'get', 'nothing'])).toMatchObject({ code: 3, out: '' })
  expect(await dev.coppice(['kv', 'cond-put', 'greeting', 'wrong', 'new'])).toMatchObject({ code: 4, out: '' })
  expect((await dev.coppice(['kv', 'cond-put', 'greeting', 'hello', 'new'])).code).toBe(0)
  expect((await dev.coppice(['kv', 'ls'])).out).toBe('bytes\ngreeting\n')
  expect((await dev.coppice(['kv', 'del', 'bytes'])).code).toBe(0)
  expect((await dev.coppice(['kv', 'del', 'bytes'])).code).toBe(3)
})

test('lock_exitCodeAndTokenOfTheCommand', async () => {
  const ran = await dev.coppice(['lock', 'nightly', '--', 'sh', '-c', 'echo "token $COPPICE_LOCK_TOKEN"; exit 7'])
  expect(ran.code).toBe(7)
  expect(ran.out).toMatch(/^token [1-9]\d*\n$/)
})

test('lock_heldByAnother_exitCode4', async () => {
  const holder = dev.coppice(['lock', 'busy', '--', 'cat'], { stdin: '' })
  // A second command waits for the first, which ends at once because its input does.
  expect((await holder).code).toBe(0)
  const marker = join(dev.dataDir, 'held-now')
  const long = dev.coppice([
    'lock',
    'busy',
    '--',
    'sh',
    '-c',
    `touch ${marker}; while [ -e ${marker} ]; do sleep 0.05; done`,
  ])
  await until('holder', () => existsSync(marker))
  const refused = await dev.coppice(['lock', 'busy', '--wait', '300ms', '--', 'true'])
  expect(refused.code).toBe(4)
  expect(refused.err).toContain('busy')
  rmSync(marker)
  expect((await long).code).toBe(0)
})

test('secondDevOnTheSameData_refusedByName', async () => {
  const second = await dev.coppice(['dev', '--port', '0'])
  expect(second.code).toBe(1)
  expect(second.err).toContain(`in use by coppice dev (pid ${dev.clusterJson.dev.pid})`)
})

test('chaosKill_comesBackByItself_unlessHeldDown', async () => {
  const { id, pid } = dev.clusterJson.replicas.at(-1)!
  expect((await dev.coppice(['chaos', 'kill', id])).code).toBe(0)
  await allGone([pid])
  await until('restart', () => dev.clusterJson.replicas.at(-1)!.pid > 0 && dev.clusterJson.replicas.at(-1)!.pid !== pid)
  const again = dev.clusterJson.replicas.at(-1)!.pid
  expect((await dev.coppice(['chaos', 'kill', id, '--no-restart'])).code).toBe(0)
  await until('word that it stays down', () => dev.out.includes(`${id} stays down`))
  expect(dev.clusterJson.replicas.at(-1)!.pid).toBe(0)
  expect((await dev.coppice(['chaos', 'resume', id])).code).toBe(0)
  await until('restart', () => ![0, again].includes(dev.clusterJson.replicas.at(-1)!.pid))
})

test('statusWhileAConfigServerIsDown_namesIt_exitCode0', async () => {
  const { id, pid } = dev.clusterJson.configServers.at(-1)!
  expect((await dev.coppice(['chaos', 'kill', id, '--no-restart'])).code).toBe(0)
  await allGone([pid])
  // Much else may run on this machine.
  const { code, out, err } = await dev.coppice(['status', '--timeout', '30s'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain(`1 of 7 processes does not answer: ${id}\n`)
  expect(out).toContain(`which is enough, but none more may fail. Start it again: coppice chaos resume ${id}.`)
  expect((await status()).unreachable).toEqual([id])
  expect((await dev.coppice(['chaos', 'resume', id])).code).toBe(0)
  await until('an answer of everybody', async () => (await status()).unreachable.length === 0)
})

test('statusWhileTheConfigServiceIsStopped_saysHowManyAreNeeded', async () => {
  const down = dev.clusterJson.configServers.slice(0, 2)
  for (const { id } of down) expect((await dev.coppice(['chaos', 'kill', id, '--no-restart'])).code).toBe(0)
  await allGone(down.map(({ pid }) => pid))
  // Much else may run on this machine.
  const { code, out, err } = await dev.coppice(['status', '--timeout', '30s'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain('the config service is stopped: 1 of 3 config servers answers')
  expect(out).toContain('Start at least 1 of them again: coppice chaos resume ID.')
  for (const { id } of down) expect((await dev.coppice(['chaos', 'resume', id])).code).toBe(0)
  await until('an answer of everybody', async () => (await status()).unreachable.length === 0)
})

test('chaos_unknownName_exitCode3', async () => {
  expect(await dev.coppice(['chaos', 'kill', 'r9'])).toMatchObject({ code: 3 })
})

test('interrupted_nothingLeft_andASecondStartContinues', async () => {
  const pids = dev.servers.map(({ pid }) => pid)
  expect(pids.every(isAlive)).toBe(true)
  const before = await status()
  expect(await dev.signal('SIGINT')).toEqual({ code: 0, signal: null })
  expect(pids.filter(isAlive)).toEqual([])
  await dev.start()
  expect((await dev.coppice(['kv', 'get', 'greeting'])).out).toBe('new')
  expect((await status()).epoch).toBeGreaterThanOrEqual(before.epoch)
})

test('killed9_childrenNoticeAndEnd', async () => {
  const pids = dev.servers.map(({ pid }) => pid)
  expect(await dev.signal('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
  await allGone(pids)
  await dev.start()
  expect((await dev.coppice(['kv', 'get', 'greeting'])).out).toBe('new')
})
