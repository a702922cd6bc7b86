// Trees that are not as one would wish: names that are no text, links, files above the limit, keys that lead out of a directory.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCommand } from './support/command.js'
import { Cluster } from './support/cluster.js'

const scratch = mkdtempSync(join(tmpdir(), 'coppice-tree-'))
let cluster: Cluster

beforeAll(async () => {
  cluster = await Cluster.start()
})
afterAll(async () => {
  await cluster?.stop()
  rmSync(scratch, { recursive: true, force: true })
})

interface Moved {
  readonly files: number
  readonly digest: string
  readonly skipped: { path: string; reason: string }[]
  readonly leftOut: { path: string; reason: string }[]
}

async function move(verb: 'import' | 'export', dir: string, prefix: string, exitCode = 0): Promise<Moved> {
  const config = cluster.addresses.join(',')
  const ran = await runCommand(['-o', 'json', '--config', config, 'kv', verb, dir, '--prefix', prefix])
  expect(ran.code, ran.err).toBe(exitCode)
  return JSON.parse(ran.out) as Moved
}

test('import_oddNamesLinksAndTooLargeFiles_listedByName', async () => {
  const dir = join(scratch, 'odd')
  mkdirSync(join(dir, 'sub', 'deeper'), { recursive: true })
  writeFileSync(join(dir, 'empty'), '')
  writeFileSync(join(dir, 'sub', 'ümläut and space'), 'text')
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x6e, 0xff, 0xfe])]), Buffer.from([0, 1, 2, 255]))
  writeFileSync(join(dir, 'sub', 'deeper', 'large-enough'), Buffer.alloc(16 * 1024 * 1024, 7))
  writeFileSync(join(dir, 'sub', 'too-large'), '')
  truncateSync(join(dir, 'sub', 'too-large'), 17 * 1024 * 1024)
  symlinkSync('/etc/passwd', join(dir, 'link'))
  const imported = await move('import', dir, 'odd/', 8)
  expect(imported.files).toBe(4)
  expect(imported.leftOut.map(({ path }) => path)).toEqual(['sub/too-large'])
  expect(imported.skipped.map(({ path }) => path)).toEqual(['link'])
  const out = join(scratch, 'odd-out')
  const exported = await move('export', out, 'odd/')
  expect(exported.digest).toBe(imported.digest)
  expect(readFileSync(join(out, 'sub', 'deeper', 'large-enough')).equals(Buffer.alloc(16 * 1024 * 1024, 7))).toBe(true)
})

test('export_hostileKeys_nothingOutsideTheDirectory', async () => {
  const db = await cluster.connect()
  const hostile = ['../escaped', '/absolute', 'a/../../escaped', 'ok/../../../escaped', '']
  for (const name of hostile) await db.kv.put(`hostile/${name}`, 'x')
  await db.kv.put('hostile/through-link/escaped', 'x')
  await db.kv.put('hostile/fine', 'y')
  const outside = join(scratch, 'outside')
  const out = join(scratch, 'hostile')
  mkdirSync(outside)
  mkdirSync(out)
  symlinkSync(outside, join(out, 'through-link'))
  const exported = await move('export', out, 'hostile/', 8)
  expect(exported.files).toBe(1)
  expect(exported.leftOut).toHaveLength(hostile.length + 1)
  expect(execFileSync('find', [scratch, '-name', 'escaped']).toString()).toBe('')
})
