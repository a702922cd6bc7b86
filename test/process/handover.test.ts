// Planned changes that nobody notices: a hundred hand-overs in a row under load, and members that are told to end (SIGTERM). No call fails,
// every step is done exactly once, nothing is shipped, and no member has to be missed.
import { randomBytes } from 'node:crypto'
import type { EpochSummary } from '@coppice/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { Load } from './support/load.js'
import { median, pause } from './support/wait.js'

const HANDOVERS = 100

let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 3 })
})
afterAll(() => cluster?.stop())

test('handover_hundredTimesUnderLoad_noCallFails_nothingIsShipped', async () => {
  const load = new Load(await cluster.connect(), 'handed', 64)
  await load.moreWrites()
  const pauses: number[] = []
  const byLeader: number[] = []
  const { members } = (await cluster.view()).state
  for (let i = 0; i < HANDOVERS; i++) {
    const to = members[(i + 1) % members.length]!
    load.writeGap.take()
    const result = await cluster.admin.handover(to, randomBytes(16).toString('hex'))
    expect(result.ok, result.message).toBe(true)
    await load.moreWrites(100)
    pauses.push(load.writeGap.take())
    if ((i + 1) % 50 > 0) continue
    const { history } = (await cluster.view()).state
    byLeader.push(...history.slice(-50).flatMap(({ writePauseMs }) => writePauseMs ?? []))
    for (const { catchUp } of history.slice(-50))
      expect(catchUp.map(({ how }) => how)).toEqual(['none', 'none', 'none'])
  }
  await load.finish()
  expect(load.unknown).toBe(0)
  process.stdout.write(
    `  ${HANDOVERS} hand-overs: longest gap between two writes ${median(pauses)} ms in the median, ${Math.max(...pauses)} ms at the worst; ` +
      `by the leader's clock ${median(byLeader)} ms and ${Math.round(Math.max(...byLeader))} ms\n`,
  )
})

test('handoverCommand_makesThatMemberPrimary', async () => {
  const { members } = (await cluster.view()).state
  const command = ['handover', members[1]!, '--config', cluster.addresses.join(','), '-o', 'json']
  const { code, out } = await runCommand(command)
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ primary: members[1] })
  await cluster.whole([members[1]!, members[0]!, members[2]!])
  const unknown = await runCommand(['handover', 'r9', '--config', cluster.addresses.join(',')])
  expect(unknown.code).toBe(3)
})

test('affinityCommand_isKept_andShown', async () => {
  const config = ['--config', cluster.addresses.join(',')]
  for (const mode of ['auto', 'off'] as const) {
    const { code, out } = await runCommand(['affinity', mode, ...config, '-o', 'json'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ affinity: mode })
    const status = await runCommand(['status', ...config, '-o', 'json'])
    expect(JSON.parse(status.out)).toMatchObject({ affinity: mode })
  }
  expect((await runCommand(['affinity', 'sometimes', ...config])).code).toBe(2)
})

test('sigterm_ofEachMemberInTurn_underLoad_noneHasToBeMissed', async () => {
  const load = new Load(await cluster.connect(), 'ended', 64)
  for (const which of ['primary', 'backup'] as const) {
    await load.moreWrites()
    const { epoch, members } = (await cluster.view()).state
    const id = which === 'primary' ? members[0]! : members[1]!
    load.writeGap.take()
    const { code } = await cluster.byId(id).stop()
    await load.moreWrites()
    const gap = load.writeGap.take()
    expect(code).toBe(0)
    const since = await changesSince(epoch)
    expect(since.map(({ cause, detail }) => `${cause}: ${detail}`)).toEqual([`leave: ${id} goes down`])
    process.stdout.write(`  SIGTERM of a ${which}: longest gap between two writes ${gap} ms\n`)
    // It comes back by itself, with what it has.
    await cluster.byId(id).start()
    await cluster.whole()
  }
  await load.finish()
  expect(load.unknown).toBe(0)
})

/** A config server that does not lead knows of a change a moment later. */
async function changesSince(epoch: number): Promise<EpochSummary[]> {
  for (let tries = 0; tries < 20; tries++) {
    const { state } = await cluster.view()
    if (state.epoch > epoch) return state.history.filter((h) => h.epoch > epoch)
    await pause(100)
  }
  return []
}
