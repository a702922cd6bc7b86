// coppice reconfigure: moves the group to other members.
import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 60_000

export function addReconfigure(program: Command): void {
  program
    .command('reconfigure')
    .description('move the group to these members; the first is primary')
    .requiredOption('--to <id,id,…>', 'members of the next epoch, primary first')
    .addHelpText('after', '\nExample:\n  coppice reconfigure --to r4,r2,r3')
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      const to = command
        .opts<{ to: string }>()
        .to.split(',')
        .map((id) => id.trim())
      const twice = to.find((id, i) => to.indexOf(id) !== i)
      if (to.includes('')) throw new CliError(EXIT.usage, '--to: an id is empty')
      if (twice !== undefined) throw new CliError(EXIT.usage, `--to: ${twice} is named twice`)
      await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
        const { state } = await admin.getGroup()
        const known = state.servers.map(({ id }) => id)
        const unknown = to.find((id) => !known.includes(id))
        if (unknown !== undefined)
          throw new CliError(
            EXIT.notFound,
            `--to: no replica named ${unknown} has registered; known: ${known.sort().join(', ')}`,
          )
        const result = await admin.reconfigure(to, randomBytes(16).toString('hex'))
        if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
        if (settings.output === 'json') printJson({ epoch: result.epoch, members: to, message: result.message })
        else print(`epoch ${result.epoch}: ${to.join(', ')}`)
      })
    })
}
