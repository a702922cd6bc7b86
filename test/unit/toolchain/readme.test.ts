// What the README says is there: the tests that its table names, and the files that the documents link to.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

test('featureTable_everyNamedTestIsThere', () => {
  const named = [...read('README.md').matchAll(/\]\((test\/[^)]+\.test\.ts)\)(?: `([^`]+)`)?/g)]
  expect(named.length).toBeGreaterThan(20)
  const missing = named.filter(([, file, name]) => {
    const isThere = existsSync(join(root, file!))
    return !isThere || (name !== undefined && !read(file!).includes(`'${name}'`))
  })
  expect(missing.map(([whole]) => whole)).toEqual([])
})

test('documents_everyLinkedFileIsThere', () => {
  const own = ['README.md', 'ARCHITECTURE.md', 'DECISIONS.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'examples/README.md']
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}/README.md`)
  const documents = [...own, ...packages, ...docs.filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`)]
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, file]) => file!)
      .filter((file) => !existsSync(join(root, dirname(document), file)))
      .map((file) => `${document}: ${file}`),
  )
  expect(broken).toEqual([])
})
