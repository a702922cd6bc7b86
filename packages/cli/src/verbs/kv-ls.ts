// coppice kv ls and kv count: which keys there are.
import type { Command } from 'commander'
import type { RangeOptions } from '@coppice/vkv'
import { settingsFor, withDb } from '../base/context.js'
import { countOption } from '../base/options.js'
import { note, print, printJson } from '../base/output.js'
import { jsonField, shownName } from '../kv/show.js'

const DEFAULT_TIMEOUT_MS = 10_000

interface SpanFlags {
  readonly start?: string
  readonly after?: string
  readonly end?: string
}
interface LsFlags extends SpanFlags {
  readonly limit?: number
  readonly reverse?: boolean
  readonly long?: boolean
}

export function addLs(kv: Command): void {
  spanOptions(kv.command('ls'))
    .description('keys in the order of their bytes')
    .argument('[prefix]', 'only keys that begin so', '')
    .option('--limit <n>', 'at most so many; what follows is told on stderr', countOption(1))
    .option('-r, --reverse', 'the last keys first')
    .option('-l, --long', 'with version and size')
    .addHelpText(
      'after',
      `
With --limit the JSON form ends with "more", and with "next", the option and the key that give the next page; without --limit all keys are
printed as they come, each page of 1,000 as it was at one index.

Examples:
  coppice kv ls users/ --limit 10
  coppice kv ls users/ --limit 10 --after users/0017       the next page
  coppice kv ls users/ --limit 1 --reverse                 the last of them
  coppice kv ls --start a --end b -o json`,
    )
    .action(async (prefix: string, flags: LsFlags, command: Command) => {
      const settings = settingsFor(command)
      const json = settings.output === 'json'
      const { limit, reverse = false } = flags
      const options: RangeOptions<Uint8Array> = { ...spanOf(prefix, flags), limit, reverse }
      const keys: object[] = []
      let last: Uint8Array | undefined
      let more = false
      await withDb(settings, DEFAULT_TIMEOUT_MS, async (db) => {
        const store = db.kv.bytes
        if (flags.long === true) {
          for await (const page of store.range(options).pages()) {
            more = page.more
            for (const { key, value, version } of page.entries) {
              last = key
              if (json) keys.push({ ...jsonField('key', key), version, bytes: value.length })
              else print(`${String(version).padStart(10)} ${String(value.length).padStart(9)} ${shownName(key)}`)
            }
          }
          return
        }
        for await (const page of store.keys(options).pages()) {
          more = page.more
          for (const key of page.entries) {
            last = key
            if (json) keys.push(jsonField('key', key))
            else print(shownName(key))
          }
        }
      })
      const option = reverse ? 'end' : 'after'
      if (json) printJson({ keys, more, ...(more && last !== undefined ? { next: jsonField(option, last) } : {}) })
      else if (more && last !== undefined) note(`there are more: --${option} ${shownName(last)}`)
    })
}

export function addCount(kv: Command): void {
  spanOptions(kv.command('count'))
    .description('number of keys, at one index')
    .argument('[prefix]', 'only keys that begin so', '')
    .addHelpText('after', '\nExamples:\n  coppice kv count\n  coppice kv count users/')
    .action(async (prefix: string, flags: SpanFlags, command: Command) => {
      const settings = settingsFor(command)
      const count = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => db.kv.bytes.count(spanOf(prefix, flags)))
      if (settings.output === 'json') printJson({ count })
      else print(String(count))
    })
}

function spanOptions(command: Command): Command {
  return command
    .option('--start <key>', 'only keys from this one on')
    .option('--after <key>', 'only keys behind this one')
    .option('--end <key>', 'only keys before this one')
}

function spanOf(prefix: string, { start, after, end }: SpanFlags): RangeOptions<Uint8Array> {
  return { prefix, start, after, end }
}
