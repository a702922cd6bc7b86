// coppice session: whose sessions there are, and the end of one.
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption } from '../base/options.js'
import { print, printJson } from '../base/output.js'
import { shownName } from '../kv/show.js'

const DEFAULT_TIMEOUT_MS = 10_000

export function addSession(program: Command): void {
  const session = program.command('session').description('look at sessions, and end them')
  session
    .command('ls')
    .description('all sessions, in the order in which they were opened')
    .addHelpText('after', '\nExample:\n  coppice session ls -o json')
    .action(async (_flags, command: Command) => {
      const settings = settingsFor(command)
      const sessions: object[] = []
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        if (settings.output === 'table') print(`${'id'.padStart(12)} ${'ttl'.padStart(10)} ${'keys'.padStart(6)} name`)
        for await (const { id, name, ttlMs, keys } of db.sessions()) {
          if (settings.output === 'json') sessions.push({ id, name, ttlMs, keys })
          else
            print(
              `${String(id).padStart(12)} ${`${ttlMs} ms`.padStart(10)} ${String(keys).padStart(6)} ${shownName(Buffer.from(name))}`,
            )
        }
      })
      if (settings.output === 'json') printJson({ sessions })
    })
  session
    .command('revoke')
    .description('end a session and with it the keys bound to it; exit code 3 when there is none')
    .argument('<id>', 'as session ls shows it', countOption(1))
    .addHelpText(
      'after',
      '\nIts process learns of it within a third of its ttl.\n\nExample:\n  coppice session revoke 4711',
    )
    .action(async (id: number, _flags, command: Command) => {
      const settings = settingsFor(command)
      const revoked = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => db.revokeSession(id))
      if (settings.output === 'json') printJson({ id, revoked })
      if (!revoked) throw new CliError(EXIT.notFound, `no session ${id}`)
      if (settings.output === 'table') print(`session ${id} has ended`)
    })
}
