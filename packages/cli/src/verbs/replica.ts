// coppice replica: adds, removes or replaces members of the group.
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { idOption } from '../base/options.js'
import { CHANGE_HELP, changeMembers } from '../change/change-members.js'
import type { Change } from '../change/member-list.js'

const collect = (id: string, before: readonly string[] = []): readonly string[] => [...before, idOption(id)]

export function addReplica(program: Command): void {
  const replica = program.command('replica').description('add, remove or replace members of the group')
  const verb = (name: string, what: string, example: string): Command =>
    replica
      .command(name)
      .description(what)
      .option('--dry-run', 'say what would happen, and change nothing')
      .addHelpText('after', `${CHANGE_HELP}\n\nExample:\n  ${example}`)
  const run = (command: Command, change: Change): Promise<void> =>
    changeMembers(settingsFor(command), change, command.opts<{ dryRun?: boolean }>().dryRun ?? false)

  verb('add', 'make spares members; the primary stays', 'coppice replica add r4 --dry-run')
    .argument('<id...>', 'of registered replicas that are no members', collect)
    .action((ids: string[], _flags, command: Command) => run(command, { kind: 'add', ids }))
  verb('remove', 'members become spares; when the primary goes, the next member leads', 'coppice replica remove r3')
    .argument('<id...>', 'of members', collect)
    .action((ids: string[], _flags, command: Command) => run(command, { kind: 'remove', ids }))
  verb('replace', 'put a spare in the place of a member', 'coppice replica replace r3 r4')
    .argument('<old>', 'a member', idOption)
    .argument('<new>', 'a registered replica that is no member', idOption)
    .action((old: string, by: string, _flags, command: Command) => run(command, { kind: 'replace', old, by }))
}
