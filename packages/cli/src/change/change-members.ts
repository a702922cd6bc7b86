// Carries out an operator's change of members, or says what it would do.
import { randomBytes } from 'node:crypto'
import { withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { note, print, printJson } from '../base/output.js'
import type { Settings } from '../base/settings.js'
import { membersAfter } from './member-list.js'
import type { Change } from './member-list.js'
import { askReplicas, previewOf, previewText, undoOf } from './preview.js'
import { advising, SEE_EPOCHS } from './unknown-outcome.js'

const DEFAULT_TIMEOUT_MS = 60_000

export const CHANGE_HELP = `
New members first learn the state while the group serves; writes pause for what is left then. With a large state, or a machine under
load, give it time: --timeout 10m (default 60s). When that has passed the change goes on; "coppice epochs" tells whether it came.`

export async function changeMembers(settings: Settings, change: Change, dryRun: boolean): Promise<void> {
  await withAdmin(settings, DEFAULT_TIMEOUT_MS, async (admin) => {
    const { state } = await admin.getGroup()
    const after = membersAfter(state, change)
    const preview = previewOf(state, after, await askReplicas(admin, state, [...new Set([...state.members, ...after])]))
    if (dryRun) {
      if (settings.output === 'json') printJson({ dryRun: true, ...preview })
      else print(previewText(preview))
      if (preview.problem !== null) throw new CliError(EXIT.conditionNotMet, `it would be refused: ${preview.problem}`)
      return
    }
    if (preview.problem !== null) throw new CliError(EXIT.conditionNotMet, preview.problem)
    const result = await admin.reconfigure(after, randomBytes(16).toString('hex')).catch(advising(SEE_EPOCHS))
    if (!result.ok) throw new CliError(EXIT.conditionNotMet, result.message)
    const { epoch, message } = result
    const undo = preview.undo
    if (settings.output === 'json') return printJson({ epoch, members: after, message, before: state.members, undo })
    print(`epoch ${epoch}: ${after.join(', ')}`)
    if (state.members.length > 0 && after.join() !== state.members.join()) note(`undo: ${undoOf(state.members)}`)
  })
}
