// coppice epochs: the configurations of the group, newest last, with what each change cost.
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { bytesText, print, printJson, table } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 10_000

export function addEpochs(program: Command): void {
  program
    .command('epochs')
    .description('each epoch: members, primary, cause, start, how each member caught up, write pause')
    .addHelpText('after', '\nExample:\n  coppice epochs -o json | jq ".epochs[-1]"')
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
        return
      }
      const rows = epochs.map(({ epoch, members, cause, detail, start, catchUp, writePauseMs }) => [
        epoch,
        members[0] ?? '-',
        members.slice(1).join(', '),
        start,
        catchUp
          .map(({ id, how, bytes }) => (how === 'none' ? `${id} none` : `${id} ${how} ${bytesText(bytes)}`))
          .join(', '),
        `${Math.round(writePauseMs)} ms`,
        detail === '' ? cause : `${cause}: ${detail}`,
      ])
      print(table(['epoch', 'primary', 'backups', 'start', 'caught up', 'write pause', 'cause'], rows))
    })
}
