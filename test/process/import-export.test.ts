// A real tree through the command: imported, exported, and equal; also when the primary, or every process, is killed half-way.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { runCommand } from './support/command.js'
import { until } from './support/wait.js'

const TREE = fileURLToPath(new URL('../../node_modules/zod', import.meta.url))
let cluster: Cluster
let files: number

beforeAll(async () => {
  cluster = await Cluster.start()
  files = filesOf(TREE).length
})
afterAll(() => cluster?.stop())

interface Moved {
  readonly files: number
  readonly digest: string
  readonly leftOut: readonly unknown[]
}

async function move(verb: 'import' | 'export', dir: string, prefix: string): Promise<Moved> {
  const config = cluster.addresses.join(',')
  const { code, out, err } = await runCommand(['kv', verb, dir, '--prefix', prefix, '--config', config, '-o', 'json'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out) as Moved
}

/** Imports with `trouble` as soon as a quarter is there, exports, compares what was told and what is on the disk. */
async function roundTrip(name: string, trouble?: () => Promise<void>): Promise<void> {
  const prefix = `${name}/`
  const importing = move('import', TREE, prefix)
  if (trouble !== undefined) {
    const db = await cluster.connect()
    await until('quarter of the tree', async () => (await countKeys(db, prefix)) > files / 4)
    await trouble()
  }
  const imported = await importing
  const target = join(cluster.dir, `exported-${name}`)
  const exported = await move('export', target, prefix)
  expect(imported).toMatchObject({ files, leftOut: [] })
  expect(exported).toMatchObject({ files, leftOut: [], digest: imported.digest })
  expect(digestOf(target)).toBe(digestOf(TREE))
}

test('tree_importedAndExported_isEqual', async () => {
  await roundTrip('plain')
})

test('tree_primaryKilledHalfWay_isEqual', async () => {
  await roundTrip('primary-killed', async () => {
    const primary = await cluster.primary()
    await primary.kill()
    await primary.start()
  })
  await cluster.whole()
})

test('tree_allProcessesKilledHalfWay_isEqual', async () => {
  await roundTrip('all-killed', async () => {
    await Promise.all(cluster.processes.map((server) => server.kill()))
    await Promise.all(cluster.processes.map((server) => server.start()))
  })
})

async function countKeys(db: Awaited<ReturnType<Cluster['connect']>>, prefix: string): Promise<number> {
  let count = 0
  for await (const _ of db.kv.keys({ prefix })) count++
  return count
}

function filesOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort()
}

// Independent of the command's own digest.
function digestOf(dir: string): string {
  const hash = createHash('sha256')
  for (const path of filesOf(dir))
    hash.update(`${path}\0`).update(
      createHash('sha256')
        .update(readFileSync(join(dir, path)))
        .digest(),
    )
  return hash.digest('hex')
}
