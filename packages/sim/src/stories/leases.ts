// Stories of members that hold a lease while the rest of the cluster goes on (PROTOCOL 3, L1–L4; 4, ping).
import { DEFAULT_PARAMS } from '@coppice/protocol'
import { at, backupOf, cutOff, START_MS, story } from './tell.js'
import type { Story } from './tell.js'

export const LEASE_STORIES: readonly Story[] = [
  // A backup keeps a lease and cannot be told of the next epoch; the leader dies and its successor must wait for that lease.
  at('leaseholder-cut-off-while-leaders-change', (c, n) => {
    const backup = backupOf(c)
    if (backup === undefined) return
    for (const name of c.names) {
      if (name === backup.id) continue
      c.network.block(name, backup.id)
      c.network.block(backup.id, name)
    }
    n.crash(c.leader)
    c.kernel.after(4_000, () => c.network.healAll())
  }),
  // The old leader sees only one member any more, and nobody tells it that it leads no longer (its own clock would, much later).
  at(
    'leaseholder-served-by-a-deposed-leader',
    (c) => {
      const { leader } = c
      const backup = backupOf(c)
      if (leader === undefined || backup === undefined) return
      cutOff(c, [leader.id, backup.id])
      c.kernel.after(4_500, () => c.network.healAll())
    },
    { election: { heartbeatMs: 100, stepDownMs: 6_000, timeoutMs: 700 } },
  ),
  // A new leader is elected within a lease, and an operator at once wants a change that the leaseholder cannot hear of.
  at(
    'leaseholder-cut-off-while-an-operator-moves-on',
    (c) => {
      const { leader } = c
      const backup = backupOf(c)
      if (leader === undefined || backup === undefined) return
      cutOff(c, [backup.id])
      leader.crash()
      const others = c.replicas.filter((r) => r.id !== backup.id).slice(0, c.plan.wanted)
      for (let i = 0; i < 10; i++) c.kernel.after(100 + 60 * i, () => c.requestReconfiguration(others))
      c.kernel.after(2_500, () => leader.start())
      c.kernel.after(3_000, () => c.network.healAll())
    },
    {
      election: { heartbeatMs: 30, stepDownMs: 150, timeoutMs: 150 },
      params: { ...DEFAULT_PARAMS, leaseMs: 2_000, failMs: 2_000 },
      latencyMs: 0.4,
      diskMs: 0.3,
    },
  ),
  // A member is given up; while its successor epoch is being chosen, very slowly, it comes back and asks for a lease.
  story('leaseholder-returns-while-the-activation-hangs', (c) => {
    const hang = (hanging: boolean): void => {
      for (const config of c.configs) {
        if (hanging) config.disk.hanging = true
        else config.disk.release()
      }
    }
    let done = false
    c.onEvent = (_node, name, fields) => {
      if (done || name !== 'attemptStep' || fields['step'] !== 'activate' || c.kernel.now < START_MS) return
      done = true
      hang(true)
      c.kernel.after(5, () => c.network.healAll())
      c.kernel.after(550, () => hang(false))
    }
    c.kernel.at(START_MS, () => {
      const backup = backupOf(c)
      if (backup !== undefined) cutOff(c, [backup.id])
    })
  }),
  // Two members enter an epoch whose leader dies; they see only each other and the clients, while the rest goes on without them.
  story(
    'island-in-an-epoch-that-never-ran',
    (c) => {
      let done = false
      c.onEvent = (node, name, fields) => {
        if (done || name !== 'attemptStep' || fields['step'] !== 'relinquish' || c.kernel.now < START_MS) return
        done = true
        const members = c.oracle.registers.newest?.members ?? []
        const island = c.replicas
          .filter((r) => r.store.meta.epoch === fields['epoch'] && members.includes(r.id))
          .slice(0, 2)
        c.kernel.after(0, () => {
          c.configs.find((h) => h.id === node)?.crash()
          cutOff(
            c,
            island.map((r) => r.id),
          )
        })
        c.kernel.after(1_000, () => c.configs.find((h) => h.id === node)?.start())
        c.kernel.after(5_000, () => c.network.healAll())
      }
      c.kernel.at(START_MS, () => c.requestReconfiguration(c.replicas.slice(0, 2)))
    },
    { params: { ...DEFAULT_PARAMS, minReplicas: 1 }, spares: 0 },
  ),
]
