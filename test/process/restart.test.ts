// `coppice restart`: every process of a cluster is replaced under load, and no caller notices; what is not whole is not touched.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Db } from '@coppice/vkv'
import { Dev } from './support/dev.js'
import { Load } from './support/load.js'
import { until } from './support/wait.js'

const dev = new Dev()
let db: Db

beforeAll(async () => {
  await dev.start(['--spares', '0'])
  db = await connect(
    dev.clusterJson.configServers.map(({ address }) => address),
    { timeout: '30s' },
  )
})
afterAll(async () => {
  await db?.close()
  await dev.remove()
})

function pidById(): Map<string, number> {
  return new Map(dev.servers.map(({ id, pid }) => [id, pid]))
}
function members(): Promise<string[]> {
  return dev.coppice(['status', '-o', 'json']).then(({ out }) => (JSON.parse(out) as { members: string[] }).members)
}

test('dryRun_printsThePlan_andTouchesNothing', async () => {
  const before = pidById()
  const [primary, ...backups] = await members()
  const { code, out } = await dev.coppice(['restart', '--dry-run', '-o', 'json'])
  expect(code).toBe(0)
  const { steps } = JSON.parse(out) as { steps: { action: string; id: string; part: string; to: string | null }[] }
  expect(steps.map(({ part }) => part).slice(0, 3)).toEqual(['config server', 'config server', 'config leader'])
  expect(steps.slice(3)).toEqual([
    ...backups.sort().map((id) => ({ action: 'restart', id, part: 'backup', to: null })),
    { action: 'handover', id: primary, part: 'primary', to: expect.stringMatching(/^r\d$/) },
    { action: 'restart', id: primary, part: 'primary', to: null },
  ])
  expect(pidById()).toEqual(before)
})

test('wholeCluster_underLoad_noCallFails', async () => {
  const load = new Load(db, 'rolled', 64, [db, db])
  await load.moreWrites()
  const before = pidById()
  load.writeGap.take()
  load.readGap.take()
  const { code, out, err } = await dev.coppice(['restart', '-o', 'json'])
  expect(code, err).toBe(0)
  await load.moreWrites()
  const [writeGap, readGap] = [load.writeGap.take(), load.readGap.take()]
  await load.finish()
  expect(load.unknown).toBe(0)
  for (const { id, pid } of dev.servers) expect([id, pid]).not.toEqual([id, before.get(id)])
  const { steps } = JSON.parse(out) as { steps: { action: string; tookMs: number; writePauseMs: number }[] }
  expect(steps).toHaveLength(before.size + 1)
  const took = steps.reduce((sum, { tookMs }) => sum + tookMs, 0)
  const pause = Math.max(...steps.map(({ writePauseMs }) => writePauseMs))
  process.stdout.write(
    `  ${before.size} processes in ${(took / 1000).toFixed(1)} s, ${load.writes} writes, ${load.reads} reads: ` +
      `longest gap between two writes ${writeGap} ms, between two reads ${readGap} ms; longest pause of writes by the leader's clock ${pause} ms\n`,
  )
  process.stdout.write(err.replace(/^/gm, '  '))
})

test('secondRestartMeanwhile_isRefused', async () => {
  const [backup] = (await members()).slice(1)
  const both = await Promise.all([1, 2].map(() => dev.coppice(['restart', backup!])))
  expect(both.map(({ code }) => code).sort()).toEqual([0, 4])
  expect(both.find(({ code }) => code === 4)!.err).toContain('another "coppice restart" of this group is under way')
})

test('execThatFails_stopsThere_withWhatToDo', async () => {
  const before = pidById()
  const { code, err } = await dev.coppice(['restart', '--exec', 'echo cannot {id} >&2; exit 3'])
  expect(code).toBe(1)
  expect(err).toContain('exit code 3')
  expect(err).toContain('go on with: coppice restart c')
  expect(err.match(/cannot/g)).toHaveLength(2) // by the command, and in the message
  expect(pidById()).toEqual(before)
})

test('execThatDoesNotRestart_isNoticed', async () => {
  const { code, err } = await dev.coppice(['restart', 'r1', '--exec', ': {id}', '--within', '2s'])
  expect(code).toBe(1)
  expect(err).toContain('r1 has not ended')
})

test('exec_restartsTheNamedServers', async () => {
  const before = pidById()
  const [, backup] = await members()
  const script = `process.kill(JSON.parse(require('fs').readFileSync(process.argv[1])).replicas.find(r => r.id === process.argv[2]).pid, 'SIGTERM')`
  const exec = `node -e "${script}" ${dev.dataDir}/cluster.json {id}`
  const { code, err } = await dev.coppice(['restart', backup!, '--exec', exec])
  expect(code, err).toBe(0)
  const changed = dev.servers.filter(({ id, pid }) => before.get(id) !== pid)
  expect(changed.map(({ id }) => id)).toEqual([backup])
})

test('badRequests_areRefusedByName', async () => {
  expect(await dev.coppice(['restart', 'r9'])).toMatchObject({
    code: 3,
    err: expect.stringContaining('no server named r9'),
  })
  expect(await dev.coppice(['restart', '--exec', 'reboot'])).toMatchObject({ code: 2 })
  const addresses = dev.clusterJson.configServers.map(({ address }) => address).join(',')
  expect(await dev.coppice(['restart', '--config', addresses])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--exec'),
  })
})

test('clusterThatIsNotWhole_isNotTouched', async () => {
  expect((await dev.coppice(['chaos', 'kill', 'c3', '--no-restart'])).code).toBe(0)
  const before = pidById()
  const { code, err } = await dev.coppice(['restart', '--timeout', '5s'])
  expect(code).toBe(4)
  expect(err).toContain('nothing was restarted')
  expect(err).toContain('config server c3 does not answer')
  const after = pidById()
  for (const [id, pid] of before) if (id !== 'c3') expect(after.get(id)).toBe(pid)
  expect((await dev.coppice(['chaos', 'resume', 'c3'])).code).toBe(0)
  await until('start of c3', () => (pidById().get('c3') ?? 0) > 0)
})
