// The lint rules that keep packages and tiers apart really fire: each forbidden import, and each banned name in a core.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..')

const FORBIDDEN: [file: string, imported: string][] = [
  ['protocol/src', 'node:fs'],
  ['protocol/src', '@coppice/runtime'],
  ['runtime/src', '@coppice/configsvc'],
  ['runtime/src', '@coppice/clerk'],
  ['configsvc/src/shell', '@coppice/replica'],
  ['replica/src/shell', '@coppice/clerk'],
  ['replica/src/shell', '@coppice/clerk/core'],
  ['clerk/src/shell', '@coppice/replica'],
  ['clerk/src/shell', '@coppice/replica/server'],
  ['clerk/src/shell', '@coppice/runtime/server'],
  ['clerk/src/client', '@coppice/runtime'],
  ['clerk/src/client', '../shell/x.js'],
  ['clerk/src/client', 'node:fs'],
  ['vkv/src/client', '@coppice/clerk'],
  ['vkv/src/client', '@coppice/replica'],
  ['vkv/src/shell', '@coppice/sim'],
  ['vkv/src/core', '@coppice/clerk/core'],
  ['embedded/src/shell', '@coppice/sim'],
  ['replica/src/core', '@coppice/runtime'],
  ['replica/src/core', '../shell/x.js'],
  ['replica/src/core', '../client/x.js'],
  ['configsvc/src/core', 'node:crypto'],
  ['sim/src', '@coppice/clerk'],
  ['sim/src', '@coppice/replica/server'],
  ['sim/src', 'node:fs'],
]
const ALLOWED: [file: string, imported: string][] = [
  ['runtime/src', '@coppice/protocol'],
  ['configsvc/src/shell', '@coppice/runtime/server'],
  ['replica/src/shell', '@coppice/runtime/server'],
  ['replica/src/core', '@coppice/protocol'],
  ['clerk/src/shell', '@coppice/runtime'],
  ['vkv/src/core', '@coppice/replica'],
  ['vkv/src/client', '@coppice/clerk/core'],
  ['vkv/src/shell', '@coppice/replica/server'],
  ['sim/src', '@coppice/clerk/core'],
  ['embedded/src/shell', '@coppice/replica/server'],
  ['sim/src', '@coppice/replica'],
  ['cli/src', '@coppice/sim'],
]
const BANNED_IN_CORES = [
  'export const now = Date.now()',
  'export const luck = Math.random()',
  'export const later = Promise.resolve()',
  'export async function f(): Promise<void> {}',
  'setTimeout(() => undefined, 1)',
  'export const bytes = Buffer.alloc(1)',
]

/** Lints one file per source in a tree like ours; answers for each whether it was refused. */
function refusals(sources: { dir: string; source: string }[]): boolean[] {
  const tree = mkdtempSync(join(tmpdir(), 'coppice-lint-'))
  try {
    copyFileSync(join(root, '.oxlintrc.json'), join(tree, '.oxlintrc.json'))
    sources.forEach(({ dir, source }, i) => {
      mkdirSync(join(tree, 'packages', dir), { recursive: true })
      writeFileSync(join(tree, 'packages', dir, `probe-${i}.ts`), `${source}\n`)
    })
    const oxlint = join(root, 'node_modules/oxlint/bin/oxlint')
    const { stdout } = spawnSync(process.execPath, [oxlint, '--format=unix'], { cwd: tree, encoding: 'utf8' })
    return sources.map((_, i) => stdout.includes(`probe-${i}.ts:`))
  } finally {
    rmSync(tree, { recursive: true })
  }
}

const importing = ([dir, imported]: [string, string]) => ({ dir, source: `import '${imported}'` })

test('forbiddenImports_areRefused', () => {
  const refused = refusals(FORBIDDEN.map(importing))
  expect(FORBIDDEN.filter((_, i) => !refused[i])).toEqual([])
})

test('allowedImports_pass', () => {
  const refused = refusals(ALLOWED.map(importing))
  expect(ALLOWED.filter((_, i) => refused[i])).toEqual([])
})

test('impureNames_inCores_areRefused', () => {
  const refused = refusals(BANNED_IN_CORES.map((source) => ({ dir: 'replica/src/core', source })))
  expect(BANNED_IN_CORES.filter((_, i) => !refused[i])).toEqual([])
})

test('timersThatATestMayFake_inRuntimeAndShells_areRefused', () => {
  const sources = [
    'setTimeout(() => undefined, 1)',
    'setImmediate(() => undefined)',
    'export const now = performance.now()',
  ]
  for (const dir of ['runtime/src', 'replica/src/shell', 'embedded/src/shell'])
    expect(refusals(sources.map((source) => ({ dir, source })))).toEqual([true, true, true])
  const taken = `import { setTimeout } from './timers.js'\nsetTimeout(() => undefined, 1)`
  expect(refusals([{ dir: 'runtime/src', source: taken }])).toEqual([false])
})

test('clientEntryOfRuntime_loadsNoServerCode', () => {
  const packages = new Set<string>()
  const files = new Set<string>()
  const follow = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    // `from '…'` ends an import or export; one of types alone is gone at run time.
    const imports = /^(?:import|export) (?!type )(?:[^;'=]*? from )'([^']+)'/gm
    for (const [, imported] of readFileSync(file, 'utf8').matchAll(imports)) {
      if (imported!.startsWith('.')) follow(join(dirname(file), imported!.replace(/\.js$/, '.ts')))
      else packages.add(imported!)
    }
  }
  follow(join(root, 'packages/runtime/src/index.ts'))
  const foreign = [...packages].filter((name) => !name.startsWith('node:'))
  expect(foreign.sort()).toEqual(['@coppice/protocol', 'ws'])
  expect([...files].some((file) => /listener|lmdb|logger|server-wire/.test(file))).toBe(false)
})
