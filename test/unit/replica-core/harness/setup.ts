// A running cluster of three with a clerk, for the stories.
import { Cluster } from './cluster.js'
import { Controller } from './controller.js'
import { TestClerk } from './clerk.js'

export interface Setup {
  c: Cluster
  config: Controller
  clerk: TestClerk
}

export function startCluster(
  o: {
    ids?: string[]
    members?: string[]
    seed?: number
    snapshotEveryBytes?: number
    changeLogBytes?: number
    leases?: boolean
  } = {},
): Setup {
  const ids = o.ids ?? ['a', 'b', 'c']
  const c = new Cluster([], o.seed ?? 1)
  if (o.snapshotEveryBytes !== undefined) c.snapshotEveryBytes = o.snapshotEveryBytes
  if (o.changeLogBytes !== undefined) c.changeLogBytes = o.changeLogBytes
  for (const id of ids) c.add(id)
  const config = new Controller(c)
  config.leases = o.leases ?? true
  const clerk = new TestClerk(c, 1, 'a')
  c.onClient = (server, connection, message) => {
    if (connection === clerk.connection) clerk.on(server, message)
  }
  c.run(300)
  change({ c, config, clerk }, o.members ?? ids)
  c.run(100)
  clerk.register()
  if (!c.run(500, () => clerk.clerkId > 0)) throw new Error('the clerk was not registered')
  return { c, config, clerk }
}

/** Makes `members` the next epoch and waits until it runs. */
export function change(s: Setup, members: string[], ask = 2_000): void {
  let outcome: string | undefined
  s.config.attempt(members, (ok, why) => (outcome = ok ? '' : why), '', ask)
  s.c.run(10_000, () => outcome !== undefined)
  if (outcome !== '') throw new Error(`attempt failed: ${outcome}`)
  s.c.run(
    1_000,
    () =>
      s.c.server(members[0]!).core?.view.isPrimary === true && members.every((m) => s.c.server(m).core?.view.activated),
  )
}

/** Adds `n` and waits for all acks. */
export function addAll(s: Setup, keys: number[]): void {
  s.clerk.add(keys)
  if (!s.c.run(2_000, () => s.clerk.open === 0)) throw new Error(`${s.clerk.open} additions are open`)
}
