// Stories of reconfigurations: moved by an operator, with their controller killed at each step, and overtaken by each other.
import { at, backupOf, cutOff, moveAway, START_MS, story } from './tell.js'
import type { Story } from './tell.js'

const STAGES = ['reserve', 'prepare', 'drain', 'seal', 'enter', 'relinquish', 'activate'] as const

const leaderDies = STAGES.map((stage) =>
  story(`leader-dies-at-${stage}`, (c) => {
    let killed = false
    c.onEvent = (node, name, fields) => {
      if (killed || name !== 'attemptStep' || fields['step'] !== stage || c.kernel.now < START_MS) return
      killed = true
      c.kernel.after(c.random.between(0, 4), () => {
        const leader = c.configs.find((h) => h.id === node)
        leader?.crash()
        c.kernel.after(c.random.between(100, 2_500), () => leader?.start())
      })
    }
    c.kernel.at(START_MS, () => moveAway(c))
  }),
)

/** A server learns; in the middle of that a machine dies, and comes back a while later. */
const learningDies = (name: string, which: 'source' | 'learner'): Story =>
  story(
    name,
    (c) => {
      let died = false
      c.onEvent = (node, event, fields) => {
        if (died || event !== 'transferBegun' || fields['how'] !== 'learn' || c.kernel.now < START_MS) return
        died = true
        const id = which === 'source' ? fields['source'] : node
        const host = c.replicas.find((r) => r.id === id)
        c.kernel.after(c.random.between(1, 20), () => host?.crash())
        c.kernel.after(c.random.between(500, 3_000), () => host?.start())
      }
      c.kernel.at(START_MS, () => moveAway(c))
    },
    { spares: 2 },
  )

export const CHANGE_STORIES: readonly Story[] = [
  learningDies('source-of-a-learner-dies', 'source'),
  learningDies('learner-dies', 'learner'),
  at('operator-moves-the-group', (c) => moveAway(c), { spares: 2 }),
  ...leaderDies,
  // Members are sealed, then every config server dies: whoever leads next must carry on by itself.
  story('sealed-and-then-no-leader', (c, n) => {
    let done = false
    c.onEvent = (_node, name) => {
      if (done || name !== 'sealed' || c.kernel.now < START_MS) return
      done = true
      c.kernel.after(0, () => {
        for (const host of c.configs) n.crash(host)
      })
    }
    c.kernel.at(START_MS, () => moveAway(c))
  }),
  // Messages of attempts arrive twice and late, while attempts follow each other.
  story(
    'late-duplicates-of-attempts',
    (c, n) => {
      c.network.duplication = 0.5
      for (let time = START_MS; time < 8_500; time += 500) c.kernel.at(time, () => n.inject('reconfigure'))
      c.kernel.at(START_MS, () => (c.network.slowness = 12))
    },
    { fifo: false, acrossRestarts: true, spares: 2 },
  ),
  // Found by seed 90: an attempt entered one member and was given up, for another lost its disk; the primary, cut off, heard nothing of it. The one that entered can acknowledge nothing
  // in the epoch that runs; that is a reason for a new epoch, not against it, for with it the group can go on.
  story(
    'half-entered-attempt-and-a-lost-disk',
    (c) => {
      let done = false
      c.onEvent = (_node, name) => {
        if (done || name !== 'entered' || c.kernel.now < START_MS) return
        done = true
        const lost = c.replicas.find((r) => r !== c.primary && r.store.meta.epoch < 2)
        c.kernel.after(0, () => lost?.wipe())
        c.kernel.after(2_500, () => lost?.start())
      }
      c.kernel.at(START_MS, () => {
        if (c.primary !== undefined) cutOff(c, [c.primary.id])
        c.kernel.after(2_500, () => c.network.healAll())
        const backup = backupOf(c)
        if (backup !== undefined) backup.disk.slowness = 40
      })
    },
    { spares: 0 },
  ),
  // Found by seed 2736: an attempt told the primary, which had written more than anybody else, to cut its log, and its leader died; the cut
  // became durable late, after the next leader had heard of the longer log, who took it for a loss. With a disk gone elsewhere the group
  // needs that member.
  story(
    'ordered-cut-outlives-its-leader',
    (c) => {
      let cutting = false
      c.onEvent = (_node, name, fields) => {
        if (cutting || name !== 'transferBegun' || fields['how'] !== 'truncate') return
        cutting = true
        const { leader } = c
        c.kernel.after(0, () => leader?.crash())
        c.kernel.after(1_500, () => leader?.start())
      }
      c.kernel.at(START_MS, () => {
        const { primary } = c
        const [near, gone] = c.replicas.filter((r) => r !== primary)
        if (primary === undefined || near === undefined || gone === undefined) return
        c.network.block(primary.id, near.id)
        gone.wipe()
        // Too late with its answer to SEAL to be the source, and later still with the cut.
        c.kernel.after(400, () => (primary.disk.hanging = true))
        c.kernel.after(5_000, () => primary.disk.release())
        c.kernel.after(6_000, () => c.network.healAll())
        c.kernel.after(6_000, () => gone.start())
      })
    },
    { spares: 0, healMs: 12_000 },
  ),
]
