// coppice kv watch: what happens to keys, as it happens.
import { once } from 'node:events'
import type { WatchEvent } from '@coppice/vkv'
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption } from '../base/options.js'
import { jsonField, shownName } from '../kv/show.js'

const DEFAULT_TIMEOUT_MS = 10_000

export function addWatch(kv: Command): void {
  kv.command('watch')
    .description('every change of keys as it is committed, one a line, until Ctrl-C')
    .argument('[prefix]', 'only keys that begin so', '')
    .option('--from <n>', 'first version of interest; default: from now on', countOption(1))
    .option('--exact', 'only this very key')
    .addHelpText(
      'after',
      `
It goes on through failovers and changes of members. --timeout is for its beginning. If changes that --from asks for are kept no more, it
says from where on they are and ends with 1.

Examples:
  coppice kv watch users/
  coppice kv watch users/ --from 1042 -o json`,
    )
    .action(async (prefix: string, flags: { from?: number; exact?: boolean }, command: Command) => {
      const settings = settingsFor(command)
      const json = settings.output === 'json'
      const interrupted = new AbortController()
      const onInterrupt = (): void => interrupted.abort(new CliError(EXIT.interrupted, 'interrupted'))
      process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt)
      const { from, exact = false } = flags
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        const watch = db.kv.bytes.watch(prefix, { from, exact, signal: interrupted.signal })
        for await (const event of watch) if (event.type !== 'sync') await printChange(event, json)
      })
    })
}

type KeyChange = Exclude<WatchEvent<Uint8Array, Uint8Array>, { readonly type: 'sync' }>

/** Waits while stdout takes no more: what is not read is not asked for. */
async function printChange(event: KeyChange, json: boolean): Promise<void> {
  const { type, key, version, next } = event
  const value = event.type === 'put' ? event.value : undefined
  const fields = { type, ...jsonField('key', key), ...(value === undefined ? {} : jsonField('value', value)) }
  const line = json
    ? JSON.stringify({ ...fields, version, next })
    : [String(version).padStart(10), type.padEnd(6), shownName(key), value === undefined ? '' : shownName(value)].join(
        ' ',
      )
  if (!process.stdout.write(`${line.trimEnd()}\n`)) await once(process.stdout, 'drain')
}
