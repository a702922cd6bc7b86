// Exactly-once under everything a network may do (PROTOCOL 0): frames and replies lost, repeated, delayed past each other, primaries
// killed with part of what they had not committed. Judged against the log of the model.
import type { CoppiceError, Outcome } from '@coppice/protocol'
import { expect, test } from 'vitest'
import type { Clerk } from '@coppice/clerk/core'
import { FakeCluster, FakeSignal, bytesOf, errorOf, textOf } from './support/fake-cluster.js'

interface Ended {
  readonly op: string
  readonly reply: string | undefined
  readonly error: CoppiceError | undefined
}

const SEEDS = 40
const CALLS = 150

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`exactly_once_under_loss_repetition_reordering_and_failovers_seed_${seed}`, () => runSeed(seed))
}

async function runSeed(seed: number): Promise<void> {
  const cluster = new FakeCluster(seed)
  const { random, time } = cluster
  const clerks = [cluster.newClerk({ maxInFlight: 20, silenceMs: 200 }), cluster.newClerk({ silenceMs: 200 })]
  cluster.network.fate = () => {
    const copies = random() < 0.05 ? 0 : random() < 0.05 ? 2 : 1
    return Array.from({ length: copies }, () => (random() < 0.9 ? 1 : 1 + random() * 60))
  }
  const all: { clerk: Clerk; ended: Promise<Ended> }[] = []
  for (let i = 0; i < CALLS; i++) {
    const clerk = clerks[i % 2]!
    all.push({ clerk, ended: oneCall(cluster, clerk, `op${i}`) })
    if (random() < 0.5) await time.run(random() * 40)
    if (random() < 0.04) await failover(cluster)
  }
  // Everything heals.
  cluster.network.fate = () => [1]
  const ended = await time.until(Promise.all(all.map((each) => each.ended)), 120_000)
  const fates = all.map(({ clerk }, i) => fateOf(clerk, ended[i]!))
  const outcomes = await time.until(Promise.all(fates), 120_000)
  await time.run(5_000)
  const { executed } = cluster.primaryModel
  for (const [i, { op, reply }] of ended.entries()) {
    const times = executed.filter((each) => each === op).length
    expect(times, `${op} ended ${outcomes[i]}`).toBe(outcomes[i] === 'applied' ? 1 : 0)
    if (reply !== undefined) expect(reply.split(':')[1]).toBe(op)
  }
  for (const clerk of clerks) {
    expect(clerk.counts).toMatchObject({ open: 0, queued: 0, incomplete: 0 })
    await clerk.close()
  }
  expect(time.pending).toBe(0)
}

async function oneCall(cluster: FakeCluster, clerk: Clerk, op: string): Promise<Ended> {
  const { random, time } = cluster
  const signal = random() < 0.1 ? new FakeSignal() : undefined
  const call = clerk.submit(bytesOf(op), { signal, timeoutMs: random() < 0.3 ? 20 + random() * 300 : 60_000 })
  if (signal !== undefined) time.clock.after(random() * 100, () => signal.abort('enough'))
  try {
    return { op, reply: textOf(await call), error: undefined }
  } catch {
    return { op, reply: undefined, error: await errorOf(call) }
  }
}

async function fateOf(clerk: Clerk, { reply, error }: Ended): Promise<Outcome> {
  if (reply !== undefined) return 'applied'
  if (error!.outcome === 'not-applied') return 'not-applied'
  const { outcome } = await clerk.resolve(error!, { timeoutMs: 100_000 })
  expect(outcome).not.toBe('unknown')
  return outcome
}

async function failover(cluster: FakeCluster): Promise<void> {
  const { random, time } = cluster
  const died = cluster.primary
  const uncommitted = cluster.primaryModel.log.length - cluster.committed.length
  cluster.killPrimary(Math.floor(random() * (uncommitted + 1)))
  await time.run(random() * 600)
  cluster.elect([...cluster.configuration.members.slice(1), died])
  cluster.startReplica(died)
}
