// The first frame of each end of a link: who it is, and which cluster and group it belongs to (PROTOCOL 0: a message of another
// cluster is refused, never obeyed). Judged once here, so that no message needs to repeat it.
import {
  DecodeError,
  PROTOCOL_VERSION,
  type ClusterId,
  type GroupName,
  type LinkKind,
  type NodeId,
  type StoreId,
} from '@coppice/protocol'
import { frameOf, FRAME_HELLO, FRAME_REFUSED } from './framing.js'
import { nodeText } from './node-bytes.js'

export type LinkRole = 'client' | 'config' | 'replica'

export interface Hello {
  readonly version: number
  readonly role: LinkRole
  /** '' for a client. */
  readonly id: NodeId
  readonly storeId: StoreId
  /** Random per process start: tells a restarted peer from a second connection of the same one. */
  readonly incarnation: string
  /** '' while not yet known. */
  readonly clusterId: ClusterId
  readonly group: GroupName
  readonly token: string
}

/** Why a hello was refused. WRONG_SERVER: the address leads to another server than was meant. */
export type RefusalCode = 'PROTOCOL_VERSION' | 'WRONG_CLUSTER' | 'WRONG_SERVER' | 'UNKNOWN_STORE' | 'BAD_HELLO'
export interface Refusal {
  readonly code: RefusalCode
  readonly reason: string
}

/** Why `own` may not speak with `theirs`, or undefined; the same at both ends. */
export function refusalOf(own: Hello, theirs: Hello): Refusal | undefined {
  if (theirs.version !== own.version) {
    return { code: 'PROTOCOL_VERSION', reason: `protocol version ${theirs.version} met version ${own.version}` }
  }
  // '' is a server that has not been told its cluster yet, or a client that asks for it.
  if (own.clusterId !== '' && theirs.clusterId !== '' && own.clusterId !== theirs.clusterId) {
    return { code: 'WRONG_CLUSTER', reason: `cluster ${theirs.clusterId} met cluster ${own.clusterId}` }
  }
  // One config service serves many groups; everybody else belongs to one.
  const grouped = own.role !== 'config' && theirs.role !== 'config'
  if (grouped && own.group !== theirs.group) {
    return { code: 'WRONG_CLUSTER', reason: `group ${theirs.group} met group ${own.group}` }
  }
  return undefined
}

/** Which messages are known between two ends, or undefined when they have nothing to say to each other. */
export function linkKindOf(a: LinkRole, b: LinkRole): LinkKind | undefined {
  if (a === 'client' && b === 'client') return undefined
  if (a === 'client' || b === 'client') return a === 'config' || b === 'config' ? 'client-config' : 'client-replica'
  if (a === 'config' && b === 'config') return 'config-config'
  return a === 'replica' && b === 'replica' ? 'replica-replica' : 'replica-config'
}

export function encodeHello(hello: Hello): Uint8Array {
  return frameOf(FRAME_HELLO, nodeText.encode(JSON.stringify(hello)))
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return frameOf(FRAME_REFUSED, nodeText.encode(JSON.stringify(refusal)))
}

const LONGEST_FIELD = 255

/** Reads the body of a hello frame. Of another version only the number is read: the refusal names it. */
export function decodeHello(body: Uint8Array): Hello {
  const json = jsonOf(body, 'hello')
  const version = json['version']
  if (typeof version !== 'number') throw new DecodeError('hello without a protocol version')
  const known = version === PROTOCOL_VERSION
  const role = known ? json['role'] : 'client'
  if (role !== 'client' && role !== 'config' && role !== 'replica') throw new DecodeError('hello with an unknown role')
  const text = (name: string): string => {
    const value = known ? (json[name] ?? '') : ''
    if (typeof value === 'string' && value.length <= LONGEST_FIELD) return value
    throw new DecodeError(`hello with a malformed ${name}`)
  }
  return {
    version,
    role,
    id: text('id'),
    storeId: text('storeId'),
    incarnation: text('incarnation'),
    clusterId: text('clusterId'),
    group: text('group'),
    token: text('token'),
  }
}

export function decodeRefusal(body: Uint8Array): Refusal {
  const { code, reason } = jsonOf(body, 'refusal')
  if (typeof code !== 'string' || typeof reason !== 'string') throw new DecodeError('malformed refusal')
  return { code: code as RefusalCode, reason }
}

function jsonOf(body: Uint8Array, what: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(nodeText.decode(body))
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new DecodeError(`${what} is not JSON`)
}
