// One exported name for its reader: what it is, its docstring, its declaration without what is private, and the types it refers to.

/** `function`, `class`, `type` or `constant`. */
export function kindOf({ nodes }) {
  switch (declarationOf(nodes[0]).type) {
    case 'TSDeclareFunction':
    case 'FunctionDeclaration':
      return 'function'
    case 'ClassDeclaration':
      return 'class'
    case 'VariableDeclaration':
      return 'constant'
    default:
      return 'type'
  }
}

/** Whether its docstring says that it is nobody's business outside of this repository. */
export function isInternal(found, module) {
  return docOf(found, module)?.includes(INTERNAL) === true
}
const INTERNAL = '@internal'

/** The docstring as prose; undefined: there is none. */
export function docOf({ nodes }, { text, comments }) {
  for (const node of nodes) {
    const comment = docBefore(node, text, comments)
    if (comment === undefined) continue
    const lines = comment.value.slice(1).split('\n')
    return lines
      .map((line) => line.trim().replace(/^\* ?/, ''))
      .join('\n')
      .trim()
  }
  return undefined
}

/**
 * The declaration as TypeScript, members with their docstrings, nothing private. Types, and schemas whose inferred types nobody can read, come
 * from `source`, the module the declaration was made of: there they have their comments.
 */
export function codeOf(found, module, source) {
  const written = source?.local.get(found.name)
  const isType = found.nodes.every((node) => TYPES.has(declarationOf(node).type))
  const isSchema = found.nodes.some((node) => SCHEMA.test(module.text.slice(node.start, node.end)))
  const [nodes, from] = written !== undefined && (isType || isSchema) ? [written, source] : [found.nodes, module]
  return nodes
    .map((node) =>
      visible(node, from)
        .replace(/^export /, '')
        .replace(/^declare /, ''),
    )
    .join('\n')
}

const TYPES = new Set(['TSInterfaceDeclaration', 'TSTypeAliasDeclaration'])
const SCHEMA = /^export declare const \w+: z\./

/** Names of types that the declaration mentions, each once. Interfaces that a class implements say nothing that its members do not. */
export function referencesOf({ nodes }, { text, comments }) {
  const names = new Set()
  const bound = new Set()
  const visit = (node) => {
    if (node === null || typeof node !== 'object') return
    if (Array.isArray(node)) return node.forEach(visit)
    if (isHidden(node, text, comments)) return
    if (node.type === 'TSTypeParameter') bound.add(node.name.name ?? node.name)
    if (node.type === 'TSTypeReference') names.add(leftmost(node.typeName))
    if (node.type === 'TSTypeQuery') names.add(leftmost(node.exprName))
    if (node.type === 'TSClassImplements') return
    if (node.type === 'TSInterfaceHeritage') names.add(leftmost(node.expression))
    if (node.type === 'ClassDeclaration' && node.superClass) names.add(leftmost(node.superClass))
    for (const value of Object.values(node)) visit(value)
  }
  nodes.forEach(visit)
  for (const name of bound) names.delete(name)
  names.delete(undefined)
  return [...names]
}

function declarationOf(node) {
  return node.declaration ?? node
}

function leftmost(name) {
  return name.type === 'Identifier' ? name.name : name.left === undefined ? undefined : leftmost(name.left)
}

// The comment that ends right before the node.
function docBefore(node, text, comments) {
  const before = comments.findLast(({ end }) => end <= node.start)
  const isDoc = before?.type === 'Block' && before.value.startsWith('*')
  return isDoc && text.slice(before.end, node.start).trim() === '' ? before : undefined
}

function isHidden(member, text, comments) {
  if (member.accessibility === 'private' || member.key?.type === 'PrivateIdentifier') return true
  return member.key !== undefined && docBefore(member, text, comments)?.value.includes(INTERNAL) === true
}

// The node's text without its private members and their comments.
function visible(node, { text, comments }) {
  const members = declarationOf(node).body?.body ?? []
  let code = ''
  let at = node.start
  for (const member of members) {
    if (!isHidden(member, text, comments)) continue
    code += text.slice(at, docBefore(member, text, comments)?.start ?? member.start)
    at = member.end
  }
  return code + text.slice(at, node.end)
}
