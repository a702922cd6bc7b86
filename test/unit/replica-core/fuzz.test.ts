// Random failures in the small harness: crashes, cuts, loss, duplication, reordering, slow disks, controllers that die at any step.
// Every answer is checked against what was told before; at the end every addition ran exactly once and all members agree.
import { expect, it } from 'vitest'
import { Cluster } from './harness/cluster.js'
import { Controller } from './harness/controller.js'
import { TestClerk } from './harness/clerk.js'
import type { Seen } from './harness/clerk.js'
import { randomFrom } from './harness/bytes.js'

const IDS = ['a', 'b', 'c', 'd']
const runs = Number(process.env['REPLICA_FUZZ_RUNS'] ?? 40)
const firstSeed = Number(process.env['REPLICA_FUZZ_SEED'] ?? 1)

it.each(Array.from({ length: runs }, (_, i) => firstSeed + i))('fuzz_seed_%i', (seed) => {
  const problem = runSeed(seed)
  expect(problem).toEqual([])
})

function runSeed(seed: number): string[] {
  const random = randomFrom(seed * 7919)
  const c = new Cluster([], seed)
  c.snapshotEveryBytes = random() < 0.5 ? 400 + random() * 3_000 : 1e9
  c.minLogBytesKept = random() < 0.5 ? 0 : 1_000
  for (const id of IDS) c.add(id)
  const config = new Controller(c)
  config.leases = random() < 0.7
  const told = new Map<number, Seen>()
  const submitted = new Map<number, number>()
  const clerks = [1, 2, 3].map((n) => new TestClerk(c, n, 'a', told, submitted))
  const problems: string[] = []
  c.onClient = (server, connection, message) => clerks[connection - 1]!.on(server, message)
  const stopChecks = checkAlways(c, problems)

  c.run(300)
  let attempting = false
  const reconfigure = (members: string[], stop: '' | 'seal' | 'someEntered' | 'relinquish' = ''): void => {
    attempting = true
    config.attempt(members, () => (attempting = false), stop, 300 + random() * 700)
  }
  const alive = (): string[] => IDS.filter((id) => c.server(id).core !== undefined)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const shuffled = (list: string[]): string[] =>
    list
      .map((x) => [random(), x] as const)
      .sort((a, b) => a[0] - b[0])
      .map((x) => x[1])
  reconfigure(['a', 'b', 'c'])
  c.run(300)
  for (const clerk of clerks) clerk.register()

  c.faults.lose = random() < 0.5 ? 0 : random() * 0.1
  c.faults.duplicate = random() < 0.5 ? 0 : random() * 0.2
  c.faults.delayMs = random() < 0.5 ? 2 : random() * 40
  c.faults.diskMs = random() < 0.7 ? 1 : random() * 60
  for (let step = 0; step < 300; step++) {
    const dice = random()
    const clerk = pick(clerks)
    if (dice < 0.4) clerk.add(Array.from({ length: 1 + Math.floor(random() * 4) }, () => Math.floor(random() * 5)))
    else if (dice < 0.65)
      clerk.read(random() < 0.8 ? pick(config.configuration.members) : pick(IDS), Math.floor(random() * 5))
    else if (dice < 0.7) clerk.resend()
    else if (dice < 0.72 && alive().length > 2) c.crash(pick(alive()))
    else if (dice < 0.78) for (const id of IDS) if (c.server(id).core === undefined && random() < 0.6) c.start(id)
    if (dice > 0.78 && dice < 0.8) c.cut.add(`${pick([...IDS, 'c1'])}>${pick([...IDS, 'c1'])}`)
    if (dice > 0.8 && dice < 0.83) c.cut.clear()
    if (dice > 0.83 && dice < 0.86) {
      const { members, epoch } = config.configuration
      for (const id of IDS)
        config.send(id, { kind: 'learn', group: 'main', attempt: `l${step}`, epoch, source: config.entry(members[0]!) })
    }
    if (dice > 0.96 && !attempting) {
      const stop = random() < 0.3 ? pick(['seal', 'someEntered', 'relinquish'] as const) : ''
      reconfigure(shuffled(alive()).slice(0, 1 + Math.floor(random() * 3)), stop)
    }
    c.run(random() * 40)
    if (step % 4 === 0) for (const k of clerks) if (k.open > 0) k.resend()
  }

  // Everything heals: all requests are answered, all members agree.
  c.cut.clear()
  Object.assign(c.faults, { lose: 0, duplicate: 0, delayMs: 1, diskMs: 1 })
  for (const id of IDS) if (c.server(id).core === undefined) c.start(id)
  c.run(3_000, () => !attempting)
  let done = false
  for (let i = 0; i < 10 && !done; i++) {
    reconfigure(['b', 'c', 'd'])
    c.run(5_000, () => !attempting)
    done = config.configuration.members.join() === 'b,c,d' && config.configuration.epoch === config.reserved
  }
  if (!done) return [...problems, 'no epoch after everything healed']
  for (let i = 0; i < 60 && clerks.some((k) => k.open > 0); i++) {
    for (const clerk of clerks) {
      clerk.primary = 'b'
      clerk.resend()
    }
    c.run(100)
  }
  c.run(500)
  stopChecks()
  for (const clerk of clerks) {
    problems.push(...clerk.problems)
    if (clerk.open > 0) problems.push(`clerk ${clerk.connection} has ${clerk.open} open`)
    if (clerk.expired) problems.push(`clerk ${clerk.connection} was told that it expired`)
  }
  const total = [...c.server('b').machine.counters.values()].reduce((sum, x) => sum + x.value, 0)
  const acked = clerks.reduce((sum, k) => sum + k.acked, 0)
  if (total !== acked) problems.push(`${acked} additions were acked, ${total} ran`)
  const hashes = new Set(['b', 'c', 'd'].map((id) => c.view(id).stateHash()))
  if (hashes.size !== 1) problems.push('members disagree')
  for (const e of c.events)
    if (e.name === 'dataLossSuspected') problems.push(`${e.id}: data loss suspected: ${JSON.stringify(e.fields)}`)
  return problems
}

/** Checks, again and again: entries known committed are the same everywhere (I3), one primary proposes per epoch (I2). */
function checkAlways(c: Cluster, problems: string[]): () => void {
  const primaryOf = new Map<number, string>()
  let stop = false
  const check = (): void => {
    if (stop) return
    for (const id of IDS) {
      const view = c.server(id).core?.view
      if (view === undefined) continue
      if (view.commitIndex > view.nextIndex) problems.push(`${id}: commit beyond its log`)
      if (!view.isPrimary) continue
      const who = `${id}.${c.server(id).incarnation}`
      const other = primaryOf.get(view.meta.epoch)
      if (other !== undefined && other !== who)
        problems.push(`epoch ${view.meta.epoch} has two primaries: ${other}, ${who}`)
      primaryOf.set(view.meta.epoch, who)
    }
    c.after(5, check)
  }
  check()
  return () => {
    stop = true
  }
}
