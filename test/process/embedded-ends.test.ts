// A program that used an embedded cluster ends by itself, without a word on stderr; what was left to happen has no way to reject.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { within } from './support/wait.js'

const embedded = fileURLToPath(new URL('../../packages/embedded/dist/index.js', import.meta.url))
const vkv = fileURLToPath(new URL('../../packages/vkv/dist/index.js', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs a program in a process of its own; fails when it does not end. */
function ended(lines: readonly string[]): Promise<Ended> {
  const source = [`import { startEmbedded } from ${JSON.stringify(embedded)}`, ...lines].join('\n')
  const child = spawn(process.execPath, ['--input-type=module', '--unhandled-rejections=strict', '-e', source])
  const done = new Promise<Ended>((resolve) => {
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (err += data))
    child.once('close', (code) => resolve({ code, out, err }))
  })
  return within('end of the program', done, 60_000).finally(() => child.kill('SIGKILL'))
}

const SAYS_WHEN_CLOSED = [
  `const closed = performance.now()`,
  `process.on('exit', () => console.log(performance.now() - closed < 1_000 ? 'ended' : 'hung'))`,
]

test('program_withClosedClusters_endsByItself', async () => {
  const result = await ended([
    `const clusters = await Promise.all([startEmbedded(), startEmbedded({ configServers: 3 })])`,
    `for (const cluster of clusters) {`,
    `  const db = await cluster.connect()`,
    `  await db.kv.put('a', '1')`,
    `  const { primary } = await cluster.status()`,
    `  await cluster.crash(primary)`,
    `  await db.kv.put('a', '2')`,
    `  await cluster.restart(primary)`,
    `  await cluster.pause('c1')`,
    `  await cluster.partition(['r1'], ['r2'])`,
    `}`,
    `await Promise.all(clusters.map((cluster) => cluster.close()))`,
    ...SAYS_WHEN_CLOSED,
  ])
  expect(result).toEqual({ code: 0, out: 'ended\n', err: '' })
})

test('program_withStoresInADirectory_endsByItself', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-embedded-'))
  const result = await ended([
    `const cluster = await startEmbedded({ storage: ${JSON.stringify(dir)}, listen: true })`,
    `const db = await cluster.connect()`,
    `await db.kv.put('a', '1')`,
    `await cluster.crash('r1')`,
    `await cluster.close()`,
    ...SAYS_WHEN_CLOSED,
  ])
  expect(result).toEqual({ code: 0, out: 'ended\n', err: '' })
  rmSync(dir, { recursive: true })
})

test('callsUnderWay_whenItIsClosed_failAndNothingElseDoes', async () => {
  const result = await ended([
    `const cluster = await startEmbedded()`,
    `const db = await cluster.connect()`,
    `await cluster.partition(['client'], cluster.ids)`,
    `const calls = Array.from({ length: 50 }, (_, i) => db.kv.put('a' + i, 'b').catch((error) => error.code))`,
    `const held = cluster.connect().catch((error) => error.code)`,
    `await cluster.pause('c1')`,
    `const asked = cluster.reconfigure(['r1']).catch((error) => error.code)`,
    `await cluster.close()`,
    `console.log([...new Set(await Promise.all(calls))].join())`,
    `console.log(await held, await asked)`,
  ])
  expect(result).toEqual({ code: 0, out: 'CLOSED\nCLOSED CLOSED\n', err: '' })
})

test('otherProcess_reachesAClusterThatListens', async () => {
  const { startEmbedded } = await import('@coppice/embedded')
  const cluster = await startEmbedded({ listen: true })
  const db = await cluster.connect()
  await db.kv.put('from', 'inside')
  const { primary } = await cluster.status()
  const lines = [
    `import { connect } from ${JSON.stringify(vkv)}`,
    `const db = await connect(${JSON.stringify(cluster.url)})`,
    `console.log(await db.kv.get('from'))`,
    `await db.kv.put('from', 'outside')`,
    `process.stdin.once('data', async () => {`,
    `  await db.kv.put('from', 'outside, after a pause')`,
    `  await db.close()`,
    `  process.stdin.destroy()`,
    `})`,
    `console.log('ready')`,
  ]
  const child = spawn(process.execPath, ['--input-type=module', '-e', lines.join('\n')])
  let out = ''
  const isReady = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      out += data
      if (out.includes('ready')) resolve()
    })
  })
  const end = new Promise((resolve) => child.once('close', resolve))
  await within('ready client', isReady)
  expect(await db.kv.get('from')).toBe('outside')
  await cluster.pause(primary)
  child.stdin.write('go on\n')
  expect(await within('end of the client', end)).toBe(0)
  expect(out).toBe('inside\nready\n')
  await cluster.resume(primary)
  expect(await db.kv.get('from')).toBe('outside, after a pause')
  await cluster.close()
})
