// What a package's entry exports, found in the declarations that the compiler wrote: each name with the statements that declare it.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'oxc-parser'

/** Files of declarations, each parsed once; `entryFile` answers the declarations of a specifier like `@coppice/vkv/core`. */
export class Declarations {
  #modules = new Map()
  #entryFile

  constructor(entryFile) {
    this.#entryFile = entryFile
  }

  /** Exports of a file by name, each resolved to where it is declared. */
  exportsOf(file) {
    const names = new Map()
    const visit = (from, seen) => {
      if (seen.has(from)) return
      seen.add(from)
      const { named, stars } = this.#module(from)
      // A name of one's own goes before that of a star.
      for (const name of named.keys()) if (!names.has(name)) names.set(name, this.resolve(from, name))
      for (const star of stars) visit(this.#file(from, star), seen)
    }
    visit(file, new Set())
    return names
  }

  /** Where `name`, exported by `file`, is declared: { file, name, nodes }. */
  resolve(file, name) {
    const { named, stars } = this.#module(file)
    const own = named.get(name)
    if (own?.source !== undefined) return this.resolve(this.#file(file, own.source), own.name)
    if (own !== undefined) return this.lookUp(file, own.name)
    for (const star of stars) {
      const found = this.resolve(this.#file(file, star), name)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** What `name` means inside of `file`: a declaration there, or what it imports; undefined for a global or another's package. */
  lookUp(file, name) {
    const { local, imported } = this.#module(file)
    const nodes = local.get(name)
    if (nodes !== undefined) return { file, name, nodes }
    const from = imported.get(name)
    const source = from && this.#file(file, from.source)
    return source === undefined ? undefined : this.resolve(source, from.name)
  }

  /** The source that a file of declarations was made of. */
  sourceOf(file) {
    return this.#module(file.replace('/dist/', '/src/').replace(/\.d\.ts$/, '.ts'))
  }

  /** The text of a file and its comments. */
  textOf(file) {
    return this.#module(file)
  }

  #file(from, source) {
    if (source.startsWith('.')) return join(dirname(from), source.replace(/\.js$/, '.d.ts'))
    return this.#entryFile(source)
  }

  #module(file) {
    let module = this.#modules.get(file)
    if (module === undefined) this.#modules.set(file, (module = readModule(file)))
    return module
  }
}

function readModule(file) {
  if (!existsSync(file)) throw new Error(`${file} is missing: build first`)
  const text = readFileSync(file, 'utf8')
  const { program, comments, errors } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`)
  const module = { text, comments, local: new Map(), imported: new Map(), named: new Map(), stars: [] }
  for (const statement of program.body) readStatement(module, statement)
  return module
}

function readStatement(module, statement) {
  const { local, imported, named, stars } = module
  switch (statement.type) {
    case 'ImportDeclaration':
      for (const s of statement.specifiers) {
        imported.set(s.local.name, { source: statement.source.value, name: s.imported?.name ?? 'default' })
      }
      return
    case 'ExportAllDeclaration':
      stars.push(statement.source.value)
      return
    case 'ExportNamedDeclaration':
      for (const s of statement.specifiers)
        named.set(s.exported.name, { name: s.local.name, source: statement.source?.value })
      if (statement.declaration !== null) {
        for (const name of namesOf(statement.declaration)) {
          named.set(name, { name })
          add(local, name, statement)
        }
      }
      return
    default:
      for (const name of namesOf(statement)) add(local, name, statement)
  }
}

function namesOf(declaration) {
  if (declaration.type === 'VariableDeclaration') return declaration.declarations.map(({ id }) => id.name)
  return declaration.id?.name === undefined ? [] : [declaration.id.name]
}

function add(local, name, statement) {
  const nodes = local.get(name)
  if (nodes === undefined) local.set(name, [statement])
  else nodes.push(statement)
}
