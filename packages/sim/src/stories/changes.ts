// Stories of reconfigurations: moved by an operator, with their controller killed at each step, and overtaken by each other.
import { at, backupOf, cutOff, moveAway, START_MS, story } from './tell.js'
import type { Story } from './tell.js'

const STAGES = ['reserve', 'prepare', 'seal', 'enter', 'relinquish', 'activate'] as const

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

export const CHANGE_STORIES: readonly Story[] = [
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
]
