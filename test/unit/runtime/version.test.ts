// One version for all packages, told by servers without reading a file.
import { readdirSync, readFileSync } from 'node:fs'
import { VERSION } from '@coppice/runtime/server'
import { expect, test } from 'vitest'

const packages = new URL('../../../packages/', import.meta.url)

test('version_isThatOfEveryPackage', () => {
  for (const name of readdirSync(packages)) {
    const { version } = JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), 'utf8')) as {
      version: string
    }
    expect(version, name).toBe(VERSION)
  }
})

test('whatRunsInATestsProcess_canBeCompiledToCommonJs', () => {
  const parts = ['protocol', 'runtime', 'configsvc', 'replica', 'clerk', 'vkv', 'embedded']
  const wrong = parts.flatMap((part) => {
    const src = new URL(`${part}/src/`, packages)
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
    return files.filter((file) => /\bimport\.meta\b|^(const .* = )?await /m.test(code(new URL(file, src))))
  })
  expect(wrong).toEqual([])
})

/** Without its comments. */
function code(file: URL): string {
  return readFileSync(file, 'utf8').replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
}
