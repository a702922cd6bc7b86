// coppice txn: several keys in one operation, from a file.
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Db, KvEntry, Written } from '@coppice/vkv'
import { settingsFor, withDb } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { print, printJson } from '../base/output.js'
import { jsonField, textOf } from '../kv/show.js'
import { bytesOfValue, parseTxnScript, type TxnScript, type TxnStep } from '../txn/script.js'

const DEFAULT_TIMEOUT_MS = 10_000

type StepResult = Written<Uint8Array> | KvEntry<Uint8Array, Uint8Array> | undefined

export function addTxn(program: Command): void {
  program
    .command('txn')
    .description('compare, write and read several keys in one operation; exit code 4 when a comparison fails')
    .argument('<file>', 'the transaction as JSON; - reads stdin')
    .addHelpText(
      'after',
      `
The file has three lists: "if" (all must hold), "then" (done when they do) and "else" (done when one does not):

  {
    "if":   [{ "key": "stock/7", "version": 12 }, { "key": "order/1", "exists": false }],
    "then": [{ "put": "stock/7", "value": "3" }, { "put": "order/1", "value": "7" }, { "get": "price/7" }],
    "else": [{ "get": "stock/7" }, { "get": "order/1" }]
  }

Conditions: exists, version, versionNot, versionBelow, versionAbove, value, valueNot; a missing key has version 0. "valueBase64" gives bytes. Gets show
what was there before the transaction; a key is written once at the most. A put takes "ttl" ("5m": the key is gone so long after) and "session" (the id
of one: the key ends with it); without them the key stays.

"idempotencyKey" beside the lists names the transaction: however often and by whom the same file is committed, it is done once, and the first answer
is given again for 24 h, or for "idempotencyTtl". One whose steps only read is read again.

Examples:
  coppice txn order.json
  echo '{"idempotencyKey":"payment-7","then":[{"put":"order/7","value":"paid"},{"put":"code/7","value":"4711","ttl":"5m"}]}' | coppice txn -
  echo '{"then":[{"get":"a"},{"get":"b"}]}' | coppice txn - -o json`,
    )
    .action(async (file: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      const script = parseTxnScript(read(file), file === '-' ? 'stdin' : file)
      const done = await withDb(settings, DEFAULT_TIMEOUT_MS, (db) => commit(db, script))
      const steps = done.ok ? script.then : script.else
      const results = steps.map((step, i) => shown(step, done.results[i] as StepResult))
      if (settings.output === 'json') {
        printJson({ ok: done.ok, version: done.version, ...(done.ok ? {} : { failed: done.failed }), results })
      } else {
        if (done.ok) print(`version ${done.version}`)
        for (const result of results) print(lineOf(result))
      }
      if (!done.ok) throw new CliError(EXIT.conditionNotMet, `${done.failed} is not as expected`)
    })
}

function commit(db: Db, script: TxnScript) {
  const txn = db.kv.bytes.txn()
  for (const { key, value, valueBase64, valueNot, ...condition } of script.if) {
    const given = value === undefined && valueBase64 === undefined ? undefined : bytesOfValue({ value, valueBase64 })
    txn.if(key, { ...condition, value: given, valueNot: valueNot === undefined ? undefined : Buffer.from(valueNot) })
  }
  addSteps(txn, script.then)
  txn.else((branch) => {
    addSteps(branch, script.else)
    return branch
  })
  return txn.commit({ idempotencyKey: script.idempotencyKey, idempotencyTtl: script.idempotencyTtl })
}

interface Steps {
  put(key: string, value: Uint8Array, options: { ttl?: number | undefined; session?: number | undefined }): unknown
  delete(key: string): unknown
  get(key: string): unknown
}

function addSteps(to: Steps, steps: readonly TxnStep[]): void {
  for (const step of steps) {
    if ('put' in step) to.put(step.put, bytesOfValue(step), { ttl: step.ttl, session: step.session })
    else if ('delete' in step) to.delete(step.delete)
    else to.get(step.get)
  }
}

type Shown = Readonly<Record<string, string | number | boolean | null>>

function shown(step: TxnStep, result: StepResult): Shown {
  if ('put' in step) return { put: step.put, existed: (result as Written<Uint8Array>).existed }
  if ('delete' in step) return { delete: step.delete, existed: (result as Written<Uint8Array>).existed }
  const entry = result as KvEntry<Uint8Array, Uint8Array> | undefined
  return { get: step.get, ...jsonField('value', entry?.value), version: entry?.version ?? 0 }
}

function lineOf(result: Shown): string {
  if ('put' in result) return `put ${result['put']}${result['existed'] === true ? '' : ' (new)'}`
  if ('delete' in result) return `delete ${result['delete']}${result['existed'] === true ? '' : ' (was missing)'}`
  if (result['version'] === 0) return `get ${result['get']}: missing`
  const base64 = result['valueBase64']
  const value = typeof base64 === 'string' ? `base64 ${base64}` : JSON.stringify(result['value'])
  return `get ${result['get']}: ${value} (version ${result['version']})`
}

function read(file: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw new CliError(EXIT.usage, `${file === '-' ? 'stdin' : file} cannot be read: ${(error as Error).message}`)
  }
  const text = textOf(bytes)
  if (text === undefined) throw new CliError(EXIT.usage, `${file === '-' ? 'stdin' : file} is not UTF-8`)
  return text
}
