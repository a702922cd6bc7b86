// coppice epochs: the configurations of the group, newest last, with what each change cost.
import type { CatchUp, EpochSummary } from '@coppice/protocol'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { bytesText, print, printJson, table } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 10_000

export function addEpochs(program: Command): void {
  program
    .command('epochs')
    .description('each epoch: members, primary, cause, start, how each member caught up, write and read pause')
    .addHelpText(
      'after',
      `
caught up    none: it had all; delta: entries of the log; full: a snapshot and the log behind it. With what was shipped and how long that
             took; "ahead" is the part that was shipped before anything stopped
cause        bootstrap, failover, restore (members come back), operator, leave (a member goes down), affinity (the primary follows its writers)
write pause  from when the epoch before could commit nothing more (in a failover: since its member was last heard) until the new
             primary admits writes
read pause   the part of it in which no member held a lease: from the last one that gave up its own until the first new grant
Times are by the config leader's clock. "?" is not known yet, or never, because the leader or the epoch ended before.

Example:
  coppice epochs -o json | jq ".epochs[-1]"`,
    )
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      const { state } = await withAdmin(settings, DEFAULT_TIMEOUT_MS, (admin) => admin.getGroup())
      const epochs = [...state.history].sort((x, y) => x.epoch - y.epoch)
      if (settings.output === 'json') {
        printJson({
          clusterId: state.clusterId,
          group: state.group,
          epochs: epochs.map((each) => ({ ...each, primary: each.members[0] ?? null })),
        })
      } else print(epochsTable(epochs))
    })
}

export function epochsTable(epochs: readonly EpochSummary[]): string {
  const rows = epochs.map(({ epoch, members, cause, detail, start, catchUp, writePauseMs, readPauseMs }) => [
    epoch,
    members[0] ?? '-',
    members.slice(1).join(', '),
    start,
    catchUp.map(caughtUp).join(', '),
    pauseText(writePauseMs),
    pauseText(readPauseMs),
    detail === '' ? cause : `${cause}: ${detail}`,
  ])
  return table(['epoch', 'primary', 'backups', 'start', 'caught up', 'write pause', 'read pause', 'cause'], rows)
}

function caughtUp({ id, how, bytes, ms, learnedBytes }: CatchUp): string {
  if (how === 'none') return `${id} none`
  const ahead = learnedBytes === 0 ? '' : learnedBytes === bytes ? ', all ahead' : `, ${bytesText(learnedBytes)} ahead`
  return `${id} ${how} ${bytesText(bytes)} in ${durationText(ms)}${ahead}`
}

function durationText(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

function pauseText(ms: number | null): string {
  return ms === null ? '?' : durationText(ms)
}
