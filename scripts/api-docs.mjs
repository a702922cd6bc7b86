#!/usr/bin/env node
// The API reference (docs/api) from the docstrings in the packages' declarations.
//
//   node scripts/api-docs.mjs            builds, then writes docs/api
//   node scripts/api-docs.mjs --check    writes nothing; exit code 1 when a page is out of date, something exported has no docstring, or
//                                        mentions a type of ours that no entry exports
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { Declarations } from './api/declarations.mjs'
import { codeOf, docOf, isInternal, kindOf, referencesOf } from './api/describe.mjs'
import { publicPackages } from './pack.mjs'
import { build } from './prepack.mjs'
import { root } from './setup.mjs'

const OUT = join(root, 'docs', 'api')
// Made for programs of this repository alone.
const OWN_ENTRIES = new Set(['@coppice/cli/bench', '@coppice/vkv/internal'])
const GENERATED = '<!-- Written by scripts/api-docs.mjs from the docstrings: npm run docs:api -->'
const KINDS = [
  ['function', 'Functions'],
  ['class', 'Classes'],
  ['type', 'Types'],
  ['constant', 'Constants'],
]

const packages = publicPackages().map((dir) => {
  const { name, description, exports } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
  const entries = Object.entries(exports).flatMap(([path, entry]) =>
    typeof entry === 'string' || OWN_ENTRIES.has(name + path.slice(1))
      ? []
      : [{ specifier: name + path.slice(1), file: join(dir, entry.types), source: join(dir, entry['coppice-source']) }],
  )
  return { name, description, page: `${basename(dir)}.md`, entries }
})
const fileOf = new Map(packages.flatMap(({ entries }) => entries.map(({ specifier, file }) => [specifier, file])))
const declarations = new Declarations((specifier) => fileOf.get(specifier))

build(packages.map(({ page }) => join(root, 'packages', page.slice(0, -3))))
const { places, problems } = placesOfAll()
const pages = new Map()
for (const each of packages) pages.set(each.page, await formatted(pageOf(each)))
pages.set('README.md', await formatted(overview()))
finish(process.argv.includes('--check'))

/** Where each declaration is documented: at the first entry that exports it, of its own package if that does. */
function placesOfAll() {
  const places = new Map()
  const problems = []
  for (const own of [true, false]) {
    for (const { page, entries } of packages) {
      const taken = new Map()
      for (const { specifier, file } of entries) {
        for (const [name, found] of declarations.exportsOf(file)) {
          if (found === undefined) problems.push(`${specifier}: ${name} is declared nowhere`)
          else if (!places.has(keyOf(found)) && isOf(page, found.file) === own) {
            const slug = name.toLowerCase()
            const count = taken.get(slug) ?? 0
            taken.set(slug, count + 1)
            places.set(keyOf(found), { page, specifier, name, anchor: count === 0 ? slug : `${slug}-${count}` })
          }
        }
      }
    }
  }
  return { places, problems }
}

function keyOf({ file, name }) {
  return `${file}#${name}`
}
function isOf(page, file) {
  return file.startsWith(join(root, 'packages', page.slice(0, -3), 'dist'))
}

function pageOf({ name, description, page, entries }) {
  const parts = [`# ${name}`, GENERATED, description]
  for (const { specifier, file, source } of entries) {
    parts.push(`## ${specifier}`, headOf(source))
    const all = [...declarations.exportsOf(file)].filter(([, found]) => found !== undefined)
    const here = ([, found]) => places.get(keyOf(found)).specifier === specifier
    const byKind = KINDS.map(([kind, title]) => [title, all.filter(([, found]) => kindOf(found) === kind)])
    for (const [title, some] of byKind) {
      if (some.length > 0)
        parts.push(`${title}: ${some.map(([shown, found]) => linkTo(found, page, shown)).join(', ')}`)
    }
    const sections = byKind.flatMap(([, some]) => some.filter(here))
    for (const [shown, found] of sections) parts.push(sectionOf(specifier, shown, found, page))
  }
  return parts.join('\n\n')
}

function sectionOf(specifier, shown, found, page) {
  const module = declarations.textOf(found.file)
  if (isInternal(found, module)) return `### ${shown}\n\nOf this repository's own programs; it may change at any time.`
  const doc = docOf(found, module) ?? docOfPair(found, module)
  if (doc === undefined) problems.push(`${specifier}: ${shown} has no docstring (${sourceOf(found.file)})`)
  const code = []
  const mentioned = new Map()
  // What stands in the same file and is nobody's name outside comes along.
  const shownHere = new Set()
  const show = (each) => {
    shownHere.add(keyOf(each))
    code.push(codeOf(each, declarations.textOf(each.file), declarations.sourceOf(each.file)))
    for (const name of referencesOf(each, declarations.textOf(each.file))) {
      const other = declarations.lookUp(each.file, name)
      if (other === undefined || shownHere.has(keyOf(other))) continue
      if (places.has(keyOf(other))) mentioned.set(name, linkTo(other, page, name))
      else if (other.file === found.file) show(other)
      else if (!isInternal(other, declarations.textOf(other.file)))
        problems.push(`${specifier}: ${shown} mentions ${name} (${sourceOf(other.file)}), which no entry exports`)
    }
  }
  show(found)
  const parts = [`### ${shown}`, doc ?? '', '```ts\n' + code.join('\n\n') + '\n```']
  if (mentioned.size > 0) parts.push(`Mentions ${[...mentioned.values()].join(', ')}.`)
  return parts.join('\n\n')
}

// A schema and the type it describes are one thing: either's docstring is the other's.
function docOfPair({ file, name }, module) {
  const isSchema = name.endsWith('Schema')
  const other = isSchema ? name[0].toUpperCase() + name.slice(1, -6) : `${name[0].toLowerCase()}${name.slice(1)}Schema`
  const pair = declarations.lookUp(file, other)
  const doc = pair && docOf(pair, module)
  return doc && isSchema ? `The zod schema of \`${other}\`: ${doc[0].toLowerCase()}${doc.slice(1)}` : doc
}

function linkTo(found, page, shown) {
  const place = places.get(keyOf(found))
  return `[\`${shown}\`](${place.page === page ? '' : place.page}#${place.anchor})`
}

// What an entry is, from the first sentence of its source.
function headOf(source) {
  const words = /^\/\/ ((?:.*\n\/\/ )*?.*\.)$/m.exec(readFileSync(source, 'utf8'))
  if (words?.index !== 0) problems.push(`${relative(root, source)} does not begin with what it is for`)
  return words?.[1].replaceAll('\n// ', '\n') ?? ''
}

function sourceOf(file) {
  return relative(root, file)
    .replace('/dist/', '/src/')
    .replace(/\.d\.ts$/, '.ts')
}

function overview() {
  const rows = packages.map(({ name, description, page, entries }) => {
    return `| [${name}](${page}) | ${description} | ${entries.map(({ specifier }) => `\`${specifier}\``).join(' ')} |`
  })
  return [
    '# API reference',
    GENERATED,
    '| package | what it is | entries |\n| --- | --- | --- |\n' + rows.join('\n'),
  ].join('\n\n')
}

async function formatted(markdown) {
  return format(markdown, { ...(await resolveConfig(join(OUT, 'page.md'))), parser: 'markdown' })
}

function finish(check) {
  const present = existsSync(OUT) ? readdirSync(OUT) : []
  for (const [page, text] of pages) {
    if (check && (!present.includes(page) || readFileSync(join(OUT, page), 'utf8') !== text))
      problems.push(`docs/api/${page} is out of date: npm run docs:api`)
  }
  for (const page of present.filter((name) => !pages.has(name))) {
    if (check) problems.push(`docs/api/${page} is of no package any more: npm run docs:api`)
    else rmSync(join(OUT, page))
  }
  if (!check) {
    mkdirSync(OUT, { recursive: true })
    for (const [page, text] of pages) writeFileSync(join(OUT, page), text)
  }
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  if (problems.length > 0) process.exitCode = 1
}
