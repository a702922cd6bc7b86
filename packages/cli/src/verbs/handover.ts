// coppice handover: makes a member the primary; the members stay.
import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson } from '../base/output.js'
import { advising, SEE_EPOCHS } from '../change/unknown-outcome.js'

const DEFAULT_TIMEOUT_MS = 30_000

export function addHandover(program: Command): void {
  program
    .command('handover <server>')
    .description('make this member the primary; the members stay')
    .addHelpText(
      'after',
      `
The old primary stops admitting, commits what is in flight and names the new one, which holds what clients send until it leads: writes
pause for some milliseconds and no call fails.

Example:
  coppice handover r2`,
    )
    .action(async (server: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
        const { state } = await admin.getGroup()
        const known = state.servers.map(({ id }) => id)
        if (!known.includes(server))
          throw new CliError(
            EXIT.notFound,
            `no replica named ${server} has registered; known: ${known.sort().join(', ')}`,
          )
        const result = await admin.handover(server, randomBytes(16).toString('hex')).catch(advising(SEE_EPOCHS))
        if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
        if (settings.output === 'json') printJson({ epoch: result.epoch, primary: server, message: result.message })
        else print(`epoch ${result.epoch}: ${server} is primary`)
      })
    })
}
