// Stories of machines that die, stop, are cut off or lose their disks, one or all at once.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import { at, backupOf, onceThat, story } from './tell.js'
import type { Story } from './tell.js'

export const MACHINE_STORIES: readonly Story[] = [
  story('calm', () => undefined),
  at('primary-crashes', (c, n) => n.crash(c.primary)),
  at('primary-never-returns', (c) => {
    const { primary } = c
    if (primary === undefined) return
    primary.retired = true
    primary.crash()
  }),
  at('backup-crashes', (c, n) => n.crash(backupOf(c))),
  at('leader-crashes', (c, n) => n.crash(c.leader)),
  at('primary-and-leader-crash', (c, n) => {
    n.crash(c.primary)
    n.crash(c.leader)
  }),
  at('all-crash-at-once', (c, n) => {
    for (const host of c.hosts) n.crash(host)
  }),
  at('all-replicas-crash-at-once', (c, n) => {
    for (const host of c.replicas) n.crash(host)
  }),
  at('primary-pauses', (c) => c.primary?.pause(3_000)),
  at('backup-pauses', (c) => backupOf(c)?.pause(3_000)),
  at('leader-pauses', (c) => c.leader?.pause(3_000)),
  at('primary-is-cut-off', (_c, n) => n.inject('isolatePrimary')),
  at('leader-is-cut-off', (_c, n) => n.inject('isolateLeader')),
  at('primary-disk-hangs', (_c, n) => n.inject('hangPrimaryDisk')),
  // A disk is lost and its machine returns under its old name: it is a stranger, not a member that lags.
  at('wiped-store-returns', (c) => {
    const backup = backupOf(c)
    backup?.wipe()
    c.kernel.after(300, () => backup?.start())
  }),
  at('wiped-primary-returns', (c) => {
    const { primary } = c
    primary?.wipe()
    c.kernel.after(300, () => primary?.start())
  }),
  // Back before anybody missed it: it may not propose again in its epoch.
  at('primary-restarts-fast', (c) => {
    const { primary } = c
    primary?.crash()
    c.kernel.after(5, () => primary?.start())
  }),
  // A backup falls behind a truncated log and comes back: only a full checkpoint helps.
  at(
    'absent-for-a-long-time',
    (c) => {
      const backup = backupOf(c)
      backup?.crash()
      c.kernel.after(5_000, () => backup?.start())
    },
    { snapshotEveryBytes: 1_500, minLogBytesKept: 0, healMs: 10_000, spares: 0 },
  ),
  // A disk is put back from an old copy, under its old storeId, and then it is the only one that answers.
  story(
    'store-restored-from-an-old-copy',
    (c) => {
      const backup = backupOf
      c.kernel.at(2_000, () => {
        const chosen = backup(c)
        const image = chosen?.store.save()
        if (chosen === undefined || image === undefined) return
        c.kernel.at(2_200, () => c.primary?.pause(1_600))
        c.kernel.at(5_500, () => {
          for (const replica of c.replicas) replica.crash()
          chosen.store.restore(image)
          chosen.start()
        })
        c.kernel.at(8_000, () => {
          for (const replica of c.replicas) replica.start()
        })
      })
    },
    { params: { ...DEFAULT_PARAMS, minReplicas: 1 }, spares: 0, healMs: 10_000 },
  ),
  onceThat(
    'primary-dies-with-operations-in-flight',
    (c) => (c.primary?.view?.nextIndex ?? 0) > (c.primary?.view?.commitIndex ?? 0) + 2,
    (c) => {
      const { primary } = c
      primary?.crash()
      c.kernel.after(400, () => primary?.start())
    },
  ),
]
