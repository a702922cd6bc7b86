// coppice reconfigure: moves the group to other members.
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { CHANGE_HELP, changeMembers } from '../change/change-members.js'

export function addReconfigure(program: Command): void {
  program
    .command('reconfigure')
    .description('move the group to these members; the first is primary')
    .requiredOption('--to <id,id,…>', 'members of the next epoch, primary first')
    .option('--dry-run', 'say what would happen, and change nothing')
    .addHelpText(
      'after',
      `${CHANGE_HELP}

Examples:
  coppice reconfigure --to r4,r2,r3
  coppice reconfigure --to r4,r2,r3 --dry-run`,
    )
    .action(async (_flags, command: Command) => {
      const { to, dryRun = false } = command.opts<{ to: string; dryRun?: boolean }>()
      const ids = to.split(',').map((id) => id.trim())
      await changeMembers(settingsFor(command), { kind: 'to', ids }, dryRun)
    })
}
