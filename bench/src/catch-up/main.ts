// npm run bench:catch-up: what a replica that returns is shipped, by how much it missed.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connectAdmin } from '@coppice/clerk'
import type { AdminClient } from '@coppice/clerk'
import type { EpochSummary } from '@coppice/protocol'
import { connect } from '@coppice/vkv'
import type { Db } from '@coppice/vkv'
import { ROOT, startCoppice } from '../base/coppice.js'
import { fill } from '../base/side.js'
import { note, numberOf, numbersOf, optionsOf, runTool, tempDir } from '../base/tool.js'

const HELP = `Fills a fresh cluster of three replicas; then kills a backup, executes K operations without it, starts it again, and prints how it caught up
and how many bytes it was shipped. Afterwards the state hashes of all members are compared.

Usage: npm run bench:catch-up -- [options]

  --missing K,…    (default: 0,1000,100000)
  --keys N         (default: 200000)
  --value BYTES    (default: 1024)
  --dir DIR        where the data go (default: the system's temporary directory)
  -o json

Example:
  npm run bench:catch-up -- --missing 0,1000 --keys 20000`

const IN_FLIGHT = 256
const PATIENCE_MS = 300_000
const POLL_MS = 100

interface Row {
  readonly missing: number
  readonly how: string
  readonly bytes: number
  readonly ms: number
  readonly equal: boolean
}

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, { missing: '0,1000,100000', keys: '200000', value: '1024', dir: '', output: 'table' })
  const keys = numberOf('keys', given.keys)
  const valueBytes = numberOf('value', given.value)
  const dataDir = join(tempDir(atEnd, given.dir === '' ? undefined : given.dir), 'data')
  const side = await startCoppice(atEnd, { dataDir, replicas: 3 })
  note(`writing ${keys} keys of ${valueBytes} bytes …`)
  await fill(side, { keys, valueBytes })
  const { addresses } = side.options
  const admin = connectAdmin(addresses, { timeout: '60s' })
  atEnd(() => admin.close())
  const db = await connect(addresses, { timeout: '60s' })
  atEnd(() => db.close())
  const rows: Row[] = []
  for (const missing of numbersOf('missing', given.missing, 0)) {
    note(`${missing} operations without one member …`)
    const { members } = (await admin.getGroup()).state
    const away = members.at(-1)!
    await coppice(dataDir, 'chaos', 'kill', away, '--no-restart')
    await epochWith(admin, (ids) => !ids.includes(away))
    await write(db, missing, valueBytes)
    await coppice(dataDir, 'chaos', 'resume', away)
    const line = await epochWith(admin, (ids) => ids.includes(away))
    const { how, bytes, ms } = line.catchUp.find(({ id }) => id === away)!
    const { equal } = JSON.parse(await coppice(dataDir, 'verify', '-o', 'json')) as { equal: boolean }
    rows.push({ missing, how, bytes, ms, equal })
  }
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(rows) : textOf(rows)}\n`)
})

async function coppice(dataDir: string, ...args: string[]): Promise<string> {
  const command = [join(ROOT, 'packages/cli/bin/coppice.js'), ...args, '--data', dataDir]
  return (await promisify(execFile)(process.execPath, command)).stdout
}

async function write(db: Db, count: number, valueBytes: number): Promise<void> {
  const value = 'w'.repeat(valueBytes)
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < count) await db.kv.put(`catch-up/${next++}`, value)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, writer))
}

/** The newest epoch once its members are such. */
async function epochWith(admin: AdminClient, such: (members: readonly string[]) => boolean): Promise<EpochSummary> {
  const until = performance.now() + PATIENCE_MS
  while (performance.now() < until) {
    const { state } = await admin.getGroup()
    const line = state.history.find(({ epoch }) => epoch === state.epoch)
    if (line !== undefined && such(line.members)) return line
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`no such epoch in ${PATIENCE_MS / 1_000} s`)
}

function textOf(rows: readonly Row[]): string {
  const cells = rows.map(({ missing, how, bytes, ms, equal }) => {
    const each = missing === 0 ? '-' : String(Math.round(bytes / missing))
    return [String(missing), how, String(bytes), each, String(Math.round(ms)), equal ? 'equal' : 'DIFFERENT']
  })
  const lines = [['missing', 'how', 'bytes', 'bytes an operation', 'ms', 'state hashes'], ...cells]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines.map((line) => line.map((cell, i) => cell.padStart(widths[i]!)).join('  ')).join('\n')
}
