// coppice verify: the state hash of every member at one index; they must be equal.
import type { AdminClient } from '@coppice/clerk'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson, table } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 10_000
const TRIES = 50
const PAUSE_MS = 100

interface Member {
  readonly id: string
  readonly nextIndex: number
  readonly hash: string
}

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description('compare the state of all members at one index; exit code 4 when they differ')
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      const members = await withAdmin(settings, DEFAULT_TIMEOUT_MS, membersAtOneIndex)
      const isSame = members.every(({ hash }) => hash === members[0]!.hash)
      if (settings.output === 'json') printJson({ equal: isSame, members })
      else
        print(
          table(
            ['id', 'index', 'hash'],
            members.map(({ id, nextIndex, hash }) => [id, nextIndex, hash]),
          ),
        )
      if (!isSame) throw new CliError(EXIT.conditionNotMet, 'members differ at the same index')
    })
}

// Members are asked one after the other; under writes their indexes meet only by chance, so it is tried again.
async function membersAtOneIndex(admin: AdminClient): Promise<Member[]> {
  for (let tries = 0; tries < TRIES; tries++) {
    const { state } = await admin.getGroup()
    const members = await Promise.all(
      state.members.map(async (id) => {
        const { address } = state.servers.find((server) => server.id === id)!
        const { nextIndex, hash } = await admin.hash(address)
        return { id, nextIndex, hash }
      }),
    )
    if (members.length > 0 && members.every(({ nextIndex }) => nextIndex === members[0]!.nextIndex)) return members
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw new CliError(
    EXIT.error,
    `members were never seen at one index in ${TRIES} tries: there are too many writes just now`,
  )
}
