// Import and export without a cluster: names, digests, bounds.
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pathProblem } from '../../../packages/cli/src/kv/export.js'
import { Pool } from '../../../packages/cli/src/kv/pool.js'
import { jsonField, shownName } from '../../../packages/cli/src/kv/show.js'
import { TreeDigest } from '../../../packages/cli/src/kv/tree-digest.js'
import { under, walk } from '../../../packages/cli/src/kv/walk.js'

test('pathProblem_nothingOutsideTheDirectory', () => {
  const bad = ['', '/etc/passwd', '..', '../x', 'a/../../x', 'a/..', 'a//b', './a', 'a/.', 'a/', 'a\0b']
  for (const path of bad) expect(pathProblem(Buffer.from(path)), JSON.stringify(path)).toBeDefined()
  const good = ['a', 'a/b', '..a', 'a..', 'a/...b', '.hidden/x', 'ü/ñ']
  for (const path of good) expect(pathProblem(Buffer.from(path)), path).toBeUndefined()
  expect(pathProblem(Buffer.from([0x66, 0xff, 0x2f, 0x80]))).toBeUndefined()
})

test('walk_namesThatAreNoText_andLinksAreNotFollowed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-walk-'))
  const odd = Buffer.from([0x66, 0xff, 0x80])
  mkdirSync(join(dir, 'sub'))
  writeFileSync(join(dir, 'sub', 'file'), 'x')
  writeFileSync(under(dir, odd), 'y')
  symlinkSync('/', join(dir, 'sub', 'root'))
  const found = new Map<string, string>()
  for await (const { path, kind } of walk(dir)) found.set(path.toString('latin1'), kind)
  expect(Object.fromEntries(found)).toEqual({
    'sub/file': 'file',
    'sub/root': 'link',
    [odd.toString('latin1')]: 'file',
  })
})

test('treeDigest_orderDoesNotMatter_pathsAndContentsDo', () => {
  const digestOf = (...files: [string, string][]): string => {
    const digest = new TreeDigest()
    for (const [path, content] of files) digest.add(Buffer.from(path), Buffer.from(content))
    return digest.hex()
  }
  const one = digestOf(['a', '1'], ['b', '2'])
  expect(digestOf(['b', '2'], ['a', '1'])).toBe(one)
  const others = [
    digestOf(['a', '2'], ['b', '1']),
    digestOf(['a', '1']),
    digestOf(['a', '1'], ['c', '2']),
    digestOf(['ab', '12']),
  ]
  expect(new Set([one, ...others]).size).toBe(5)
})

test('pool_neverMoreJobsOrBytesThanAllowed_andTheFirstFailureIsThrown', async () => {
  const pool = new Pool(3, 100)
  let jobs = 0
  let bytes = 0
  let most = 0
  const job = (size: number) => async (): Promise<void> => {
    jobs++
    bytes += size
    most = Math.max(most, jobs)
    expect(bytes <= 100 || jobs === 1).toBe(true)
    await new Promise((resolve) => setImmediate(resolve))
    jobs--
    bytes -= size
  }
  for (const size of [10, 10, 10, 10, 90, 20, 500, 1, 1, 1, 1]) await pool.run(size, job(size))
  await pool.end()
  expect(most).toBe(3)
  await pool.run(1, () => Promise.reject(new Error('first')))
  await expect(pool.end()).rejects.toThrow('first')
})

test('show_bytesThatAreNoText', () => {
  expect(jsonField('value', Buffer.from('é'))).toEqual({ value: 'é' })
  expect(jsonField('value', Buffer.from([0xff]))).toEqual({ valueBase64: '/w==' })
  expect(shownName(Buffer.from('a\nb\u001b[31m'))).toBe('a\\x0ab\\x1b[31m')
})
