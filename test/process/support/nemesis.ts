// What can happen to a cluster of real processes: members die or stand still, and are replaced, moved and handed over meanwhile.
import { Prng } from '../../../packages/sim/src/kernel/prng.js'
import type { Cluster } from './cluster.js'
import type { ServerProcess } from './server-process.js'
import { pause, until } from './wait.js'

/** One trouble; what it answers heals. */
export type Trouble = () => Promise<(() => Promise<unknown>) | undefined>

/** Shorter than it takes to miss a member. */
const STALL_MS = 500
const SHORT_STALL_MS = 400

/** Everything that may happen. A group has two spares at least. */
export function troublesOf(cluster: Cluster, primaryPauseMs = 1_500) {
  const killed = async (victim: ServerProcess) => {
    await victim.kill()
    return () => victim.start()
  }
  const stopped = async (victim: ServerProcess, ms: number) => {
    victim.signal('SIGSTOP')
    await pause(ms)
    victim.signal('SIGCONT')
    return undefined
  }
  const memberIds = async () => (await cluster.view()).state.members
  /** Asked for until it is done: a server that has just come back may not be ready for it. */
  const moved = async (ask: (members: readonly string[], spares: readonly string[]) => readonly string[]) => {
    await until('planned change', async () => {
      const members = await memberIds()
      const spares = cluster.replicas.map(({ id }) => id).filter((id) => !members.includes(id))
      return (await cluster.admin.reconfigure(ask(members, spares), changeId())).ok
    })
    return undefined
  }
  return {
    primaryKilled: async () => killed(await cluster.primary()),
    backupKilled: async () => killed((await cluster.members())[1]!),
    configLeaderKilled: async () => killed(await cluster.leader()),
    backupPaused: async () => stopped((await cluster.members())[2]!, SHORT_STALL_MS),
    primaryPaused: async () => stopped(await cluster.primary(), primaryPauseMs),
    /** It is primary still when it wakes. */
    primaryStalled: async () => stopped(await cluster.primary(), STALL_MS),
    /** Another primary, a new member in the middle, the old primary goes. */
    reconfigured: () => moved((members, spares) => [members[1]!, spares[0]!, members[2]!]),
    replaced: () => moved((members, spares) => [members[0]!, members[1]!, spares[0]!]),
    handedOver: async () => {
      await until('hand-over', async () => (await cluster.admin.handover((await memberIds())[1]!, changeId())).ok)
      return undefined
    },
    reconfiguredAndPrimaryKilled: async () => {
      const members = await memberIds()
      const asked = cluster.admin.reconfigure([members[2]!, members[0]!, members[1]!], changeId())
      const victim = cluster.byId(members[0]!)
      await victim.kill()
      await asked
      return () => victim.start()
    },
  } satisfies Readonly<Record<string, Trouble>>
}

/** All of them once, in an order that the seed draws; each begins when the group is whole. Answers the order. */
export async function allTroubles(
  cluster: Cluster,
  seed: number,
  onBegin: (name: string) => Promise<void> | void,
): Promise<string[]> {
  const random = new Prng(seed)
  const all = Object.entries<Trouble>(troublesOf(cluster, 2_000))
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.int(i + 1)
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  for (const [name, trouble] of all) {
    await onBegin(name)
    await pause(random.between(200, 500))
    const heal = await trouble()
    // Some come back before they are missed.
    await pause(heal === undefined ? 300 : random.between(300, 1_500))
    await heal?.()
    await cluster.whole()
  }
  return all.map(([name]) => name)
}

function changeId(): string {
  return `change-${Math.random()}`
}
