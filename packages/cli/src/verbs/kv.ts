// coppice kv: the key-value store from a shell.
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption, durationOption } from '../base/options.js'
import { print, printJson } from '../base/output.js'
import { exportTree } from '../kv/export.js'
import { importTree } from '../kv/import.js'
import { jsonField } from '../kv/show.js'
import { addCount, addLs } from './kv-ls.js'
import { addWatch } from './kv-watch.js'

const DEFAULT_TIMEOUT_MS = 10_000
/** Moving a tree goes on through a failover. */
const TRANSFER_TIMEOUT_MS = 60_000
const CONCURRENCY = 64

export function addKv(program: Command): void {
  const kv = program.command('kv').description('read and write keys')
  addGet(kv)
  addPut(kv)
  addCondPut(kv)
  addDel(kv)
  addLs(kv)
  addCount(kv)
  addWatch(kv)
  addTransfers(kv)
}

function addGet(kv: Command): void {
  kv.command('get')
    .description('print the value of a key; exit code 3 when it is missing')
    .argument('<key>')
    .option('--stale', 'whatever a replica has at hand; the JSON form says how old it may be')
    .addHelpText(
      'after',
      '\nExamples:\n  coppice kv get logo.png > logo.png\n  coppice kv get greeting --stale -o json',
    )
    .action(async (key: string, flags: { stale?: boolean }, command: Command) => {
      const settings = settingsFor(command)
      const entry = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) =>
        db.kv.bytes.getEntry(key, flags.stale === true ? { consistency: 'stale' } : {}),
      )
      if (entry === undefined) throw new CliError(EXIT.notFound, `no key ${key}`)
      const { value, version, ageMs } = entry
      if (settings.output === 'json') {
        printJson({ key, ...jsonField('value', value), version, ...(ageMs === undefined ? {} : { ageMs }) })
      } else {
        // The bytes as they are; a terminal gets its line end.
        process.stdout.write(value)
        if (process.stdout.isTTY === true) process.stdout.write('\n')
      }
    })
}

function addPut(kv: Command): void {
  kv.command('put')
    .description('write a key')
    .argument('<key>')
    .argument('[value]', 'the value; - reads stdin')
    .option('--file <path>', 'the value is the content of this file')
    .option('--if-version <n>', 'only if the key has this version; 0: only if it is missing', countOption(0))
    .option('--ttl <duration>', 'the key is gone so long after; without it the key stays', durationOption)
    .option('--idempotency-key <name>', 'written once, however often and by whom this is repeated')
    .addHelpText(
      'after',
      '\nExamples:\n  coppice kv put greeting hello\n  coppice kv put token 4711 --ttl 5m\n  tar c . | coppice kv put backup -\n  coppice kv put logo.png --file logo.png',
    )
    .action(
      async (
        key: string,
        value: string | undefined,
        flags: { file?: string; ifVersion?: number; ttl?: number; idempotencyKey?: string },
        command: Command,
      ) => {
        const settings = settingsFor(command)
        const bytes = valueOf(value, flags.file)
        const { ifVersion, ttl, idempotencyKey } = flags
        const options = { ttl, idempotencyKey }
        if (ifVersion === undefined) {
          const { version } = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => db.kv.bytes.put(key, bytes, options))
          if (settings.output === 'json') printJson({ key, version })
          else print(`version ${version}`)
          return
        }
        const result = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) =>
          db.kv.bytes.put(key, bytes, { ...options, ifVersion }),
        )
        showConditional(settings.output === 'json', key, result)
      },
    )
}

function addCondPut(kv: Command): void {
  kv.command('cond-put')
    .description('write a key only if it has the expected value; exit code 4 when it has not')
    .argument('<key>')
    .argument('<expected>', 'the present value; with --absent left out')
    .argument('[next]', 'the new value; - reads stdin; left out with --delete')
    .option('--absent', 'only if the key is missing')
    .option('--delete', 'delete the key instead of writing it')
    .addHelpText(
      'after',
      '\nExamples:\n  coppice kv cond-put leader a b\n  coppice kv cond-put leader --absent a\n  coppice kv cond-put leader b --delete',
    )
    .action(
      async (
        key: string,
        first: string,
        second: string | undefined,
        flags: { absent?: boolean; delete?: boolean },
        command: Command,
      ) => {
        const settings = settingsFor(command)
        const [expected, next] = flags.absent === true ? [undefined, first] : [first, second]
        if (flags.absent === true && (second !== undefined || flags.delete === true))
          throw new CliError(EXIT.usage, 'with --absent there is one value, the new one')
        if (flags.delete === true ? next !== undefined : next === undefined)
          throw new CliError(EXIT.usage, 'give the expected and the new value, or the expected one and --delete')
        const from = expected === undefined ? undefined : Buffer.from(expected)
        const to = next === undefined ? undefined : valueOf(next, undefined)
        const result = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => db.kv.bytes.condPut(key, from, to))
        showConditional(settings.output === 'json', key, result)
      },
    )
}

function addDel(kv: Command): void {
  kv.command('del')
    .description('delete a key; exit code 3 when it was missing')
    .argument('<key>')
    .addHelpText('after', '\nExample:\n  coppice kv del greeting')
    .action(async (key: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      const { existed, version } = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => db.kv.bytes.delete(key))
      if (settings.output === 'json') printJson({ key, existed, version })
      if (!existed) throw new CliError(EXIT.notFound, `no key ${key}`)
      if (settings.output === 'table') print(`deleted, version ${version}`)
    })
}

function addTransfers(kv: Command): void {
  const options = (command: Command): Command =>
    command
      .option('--prefix <text>', 'before the path of every key', '')
      .option('--concurrency <n>', 'files under way at once', countOption(1), CONCURRENCY)
  options(kv.command('import'))
    .description('store every file of a directory under its relative path')
    .argument('<dir>')
    .option('--resume', 'read before writing: what is stored already is not written again')
    .addHelpText(
      'after',
      `
Symbolic links and special files are skipped and listed; modes and empty directories are not kept. Files above 16 MiB, or whose path is
longer than 1 KiB, are left out and listed at the end: then the exit code is 8. It goes on through failovers (--timeout, default 60s,
is of each file), and can be repeated. The digest covers paths and contents; export prints the same for the same files.

Example:
  coppice kv import ./photos --prefix photos/`,
    )
    .action(async (dir: string, flags: { prefix: string; concurrency: number; resume?: boolean }, command: Command) => {
      const settings = settingsFor(command)
      const { prefix, concurrency, resume = false } = flags
      const json = settings.output === 'json'
      process.exitCode = await withDb(settings, TRANSFER_TIMEOUT_MS, (db) =>
        importTree(db, { dir, prefix, concurrency, resume, json }),
      )
    })
  options(kv.command('export'))
    .description('write every key as a file below a directory')
    .argument('<dir>')
    .addHelpText(
      'after',
      `
A key that would lead out of the directory (.., an absolute path, a link in the way) is left out and listed: then the exit code is 8.

Example:
  coppice kv export ./restored --prefix photos/`,
    )
    .action(async (dir: string, flags: { prefix: string; concurrency: number }, command: Command) => {
      const settings = settingsFor(command)
      const { prefix, concurrency } = flags
      const json = settings.output === 'json'
      process.exitCode = await withDb(settings, TRANSFER_TIMEOUT_MS, (db) =>
        exportTree(db, { dir, prefix, concurrency, json }),
      )
    })
}

function valueOf(value: string | undefined, file: string | undefined): Buffer {
  if ((value === undefined) === (file === undefined)) throw new CliError(EXIT.usage, 'give either a value or --file')
  if (value !== undefined && value !== '-') return Buffer.from(value)
  try {
    return readFileSync(file ?? 0)
  } catch (error) {
    throw new CliError(EXIT.usage, `${file ?? 'stdin'} cannot be read: ${(error as Error).message}`)
  }
}

type Conditional =
  | { readonly ok: true; readonly version: number }
  | { readonly ok: false; readonly current: { readonly value: Uint8Array; readonly version: number } | undefined }

function showConditional(json: boolean, key: string, result: Conditional): void {
  if (result.ok) {
    if (json) printJson({ key, ok: true, version: result.version })
    else print(`version ${result.version}`)
    return
  }
  const { current } = result
  if (json) printJson({ key, ok: false, ...jsonField('current', current?.value), version: current?.version ?? 0 })
  const has = current === undefined ? 'it is missing' : `it has version ${current.version}`
  throw new CliError(EXIT.conditionNotMet, `${key} is not as expected: ${has}`)
}
