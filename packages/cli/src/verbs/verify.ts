// coppice verify: the state hash of every member at one index; they must be equal. The primary chooses the index; the group goes on meanwhile.
import type { AdminClient } from '@coppice/clerk'
import type { ConfigState } from '@coppice/protocol'
import type { Command } from 'commander'
import { settingsFor, withAdmin } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson, table } from '../base/output.js'

/** Several GiB of state, on a machine that has other things to do. */
const DEFAULT_TIMEOUT_MS = 120_000
/** Times that an index is chosen: a member may restart, or another primary follow, while hashes are taken. */
const TRIES = 5
const PAUSE_MS = 100

interface Member {
  readonly id: string
  readonly index: number
  readonly hash: string
}

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description('compare the state of all members at one index, while they serve; exit code 4 when they differ')
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      const timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS
      const members = await withAdmin(settings, timeoutMs, (admin) => membersAtOneIndex(admin, timeoutMs))
      const isSame = members.every(({ hash }) => hash === members[0]!.hash)
      if (settings.output === 'json') printJson({ equal: isSame, members })
      else
        print(
          table(
            ['id', 'index', 'hash'],
            members.map(({ id, index, hash }) => [id, index, hash]),
          ),
        )
      if (!isSame) throw new CliError(EXIT.conditionNotMet, 'members differ at the same index')
    })
}

async function membersAtOneIndex(admin: AdminClient, timeoutMs: number): Promise<Member[]> {
  const until = performance.now() + timeoutMs
  for (let tries = 0; tries < TRIES; tries++) {
    const { state } = await admin.getGroup()
    const primary = state.members[0]
    if (primary === undefined) throw new CliError(EXIT.error, `group ${state.group} has no members yet`)
    const { index, state: begun } = await admin.hash(addressOf(state, primary), 0)
    const members = begun === 'notPrimary' ? undefined : await hashesAt(admin, state, index, until)
    if (members !== undefined) return members
    await pause()
  }
  throw new CliError(
    EXIT.error,
    `members were never seen at one index in ${TRIES} tries: they change, or restart; see "coppice status"`,
  )
}

/** Undefined: a member has none at that index. */
async function hashesAt(
  admin: AdminClient,
  state: ConfigState,
  index: number,
  until: number,
): Promise<Member[] | undefined> {
  const members: Member[] = []
  for (const id of state.members) {
    for (;;) {
      const answer = await admin.hash(addressOf(state, id), index)
      if (answer.state === 'done') {
        members.push({ id, index, hash: answer.hash })
        break
      }
      if (answer.state !== 'running') return undefined
      if (performance.now() > until)
        throw new CliError(EXIT.error, `${id} still takes its hash: give it more --timeout`)
      await pause()
    }
  }
  return members
}

function addressOf(state: ConfigState, id: string): string {
  return state.servers.find((server) => server.id === id)!.address
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
