// coppice reconfigure: moves the group to other members.
import { randomBytes } from 'node:crypto'
import { CoppiceError } from '@coppice/protocol'
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
    .addHelpText(
      'after',
      `
New members first learn the state while the group serves; writes pause for what is left then. With a large state, or a machine under
load, give it time: --timeout 10m (default 60s). When that has passed the change goes on; "coppice epochs" tells whether it came.

Example:
  coppice reconfigure --to r4,r2,r3`,
    )
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
        const result = await admin.reconfigure(to, randomBytes(16).toString('hex')).catch(explained)
        if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
        if (settings.output === 'json') printJson({ epoch: result.epoch, members: to, message: result.message })
        else print(`epoch ${result.epoch}: ${to.join(', ')}`)
      })
    })
}

/** What to do when nobody knows how it went. */
export function explained(error: unknown): never {
  if (!(error instanceof CoppiceError) || error.outcome !== 'unknown') throw error
  const { message, code, outcome, retryable } = error
  const advice = 'The change may be under way still: "coppice status" and "coppice epochs" show it'
  throw new CoppiceError(`${message}. ${advice}`, { code, outcome, retryable, cause: error })
}
