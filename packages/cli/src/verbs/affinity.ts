// coppice affinity: whether the primary follows the zone that most writes come from.
import { randomBytes } from 'node:crypto'
import { DEFAULT_AFFINITY } from '@coppice/protocol'
import { Argument } from 'commander'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { AFFINITY_MODES } from '../base/options.js'
import type { AffinityMode } from '../base/options.js'
import { print, printJson } from '../base/output.js'
import { advising } from '../change/unknown-outcome.js'

const DEFAULT_TIMEOUT_MS = 30_000
const { windowMs, pauseMs, operatorMs } = DEFAULT_AFFINITY

export function addAffinity(program: Command): void {
  program
    .command('affinity')
    .description('whether the primary follows the zone that most writes come from')
    .addArgument(new Argument('<mode>', 'auto, or off: it stays where it is').choices(AFFINITY_MODES))
    .addHelpText(
      'after',
      `
With auto the primary is handed over to a member in the zone that has at least twice the writes of the primary's own zone for
${windowMs / 1_000} s, at most once in ${pauseMs / 1_000} s, and not within ${operatorMs / 60_000} minutes of a hand-over or reconfiguration by an operator. Replicas and clients say where
they stand with --zone; of clients that do not, nothing is counted. Such an epoch has the cause "affinity" in "coppice epochs".

Example:
  coppice affinity auto`,
    )
    .action(async (mode: AffinityMode, _flags, command: Command) => {
      const settings = settingsFor(command)
      await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
        const result = await admin
          .setAffinity(mode, randomBytes(16).toString('hex'))
          .catch(advising('give the command again, or look at "coppice status"'))
        if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
        if (settings.output === 'json') printJson({ affinity: mode, epoch: result.epoch, message: result.message })
        else print(result.message)
      })
    })
}
