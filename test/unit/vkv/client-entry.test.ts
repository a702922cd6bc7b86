// What a user of the store loads: neither lmdb nor any server code (PRODUCT SDK). Followed through the sources' imports.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const packages = join(import.meta.dirname, '../../../packages')

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8')
  const found: string[] = []
  for (const [, types, names, from] of source.matchAll(/^(?:import|export)\s+(type\s)?([^'";]*?from\s+)?'([^']+)'/gm)) {
    // A list of which every name is a type is erased too.
    const onlyTypes = /^\{([^}]*)\}/
      .exec(names ?? '')?.[1]
      ?.split(',')
      .every((n) => n.trim() === '' || /^\s*type\s/.test(n))
    if (types === undefined && onlyTypes !== true) found.push(from!)
  }
  return found
}

function loaded(entry: string): { files: Set<string>; modules: Set<string> } {
  const files = new Set<string>()
  const modules = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    for (const from of importsOf(file)) {
      const own = /^@coppice\/([a-z]+)(?:\/([a-z]+))?$/.exec(from)
      if (from.startsWith('.')) visit(join(dirname(file), from.replace(/\.js$/, '.ts')))
      else if (own !== null) visit(join(packages, own[1]!, 'src', `${own[2] ?? 'index'}.ts`))
      else modules.add(from)
    }
  }
  visit(entry)
  return { files, modules }
}

test('clientEntry_imports_noLmdbAndNoServerCode', () => {
  const { files, modules } = loaded(join(packages, 'vkv/src/index.ts'))
  expect([...modules]).toContain('ws')
  for (const name of ['lmdb', 'pino', 'msgpackr', 'commander']) expect([...modules]).not.toContain(name)
  expect([...files].filter((file) => /server|packages\/(replica|configsvc|sim|cli)\//.test(file))).toEqual([])
  expect([...files].every((file) => existsSync(file))).toBe(true)
})

test('serverEntry_imports_lmdb', () => {
  // The walk above sees what is there: the server's entry does load it.
  expect([...loaded(join(packages, 'vkv/src/server.ts')).modules]).toContain('lmdb')
})
