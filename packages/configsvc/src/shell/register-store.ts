// The register of a config server on disk (PROTOCOL 1, 7): promised ballot and accepted values, each behind its own checksum. A register
// that cannot be read is never guessed: an acceptor that forgot a promise could let two leaders in.
import { crc32 } from 'node:zlib'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { acceptedSchema, ballotSchema, readU32, writeU32 } from '@coppice/protocol'
import type { Accepted, NodeId, StoreId } from '@coppice/protocol'
import { randomId } from '@coppice/runtime'
import { StartupError, lockDataDir, openLmdb } from '@coppice/runtime/server'
import type { DataDirLock, Lmdb, LmdbTable } from '@coppice/runtime/server'
import { ZERO_BALLOT } from '../core/ballot.js'
import type { RecoveredRegister, RegisterWrite } from '../core/io.js'

const FORMAT_VERSION = 1
const TABLE = 'register'
const KEY_FORMAT = 'format'
const KEY_PROMISED = 'promised'
const ACCEPTED_PREFIX = 'accepted/'

/** First record of every register: whose store it is. */
interface Format {
  readonly kind: 'configsvc'
  readonly version: number
  readonly id: NodeId
  readonly storeId: StoreId
}

/** The register on disk. */
export interface RegisterStore {
  readonly recovered: RecoveredRegister
  /** Called once when a commit failed: the process must stop. Set by the host. */
  onFailed: (reason: string) => void
  /** Makes `writes` durable in the order of the calls, then calls `durable`. */
  write(writes: readonly RegisterWrite[], durable: () => void): void
  /** Waits for queued writes and closes. */
  close(): Promise<void>
  /** Ends as the death of its process would: what is not durable yet may be lost, and nothing is reported any more. */
  abandon(): Promise<void>
}

/**
 * Locks the directory, opens the register in it, formats it under a fresh storeId when it is empty, and checks every record.
 * Rejects with a StartupError that says what is wrong.
 */
export async function openRegisterStore(dir: string, id: NodeId): Promise<RegisterStore> {
  const lock = await lockDataDir(dir, `config server ${id}`)
  try {
    const path = join(dir, 'register')
    mkdirSync(path, { recursive: true })
    let store: RegisterStore | undefined
    const db = openLmdb(path, { tables: [TABLE], onFailure: (reason) => store?.onFailed(reason) })
    try {
      store = await openIn(db, lock, path, id)
      return store
    } catch (error) {
      await db.close()
      throw error
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

async function openIn(db: Lmdb, lock: DataDirLock, path: string, id: NodeId): Promise<RegisterStore> {
  const table = db.table(TABLE)
  let recovered = recover(table, path, id)
  if (recovered === undefined) {
    recovered = { storeId: randomId(), promised: ZERO_BALLOT, accepted: [] }
    const format: Format = { kind: 'configsvc', version: FORMAT_VERSION, id, storeId: recovered.storeId }
    await new Promise<void>((durable) => db.commit(() => table.put(KEY_FORMAT, sealed(format)), durable))
  }
  let abandoned = false
  const close = async (): Promise<void> => {
    await db.close()
    lock.release()
  }
  return {
    recovered,
    onFailed: () => undefined,
    write: (writes, durable) => {
      // Encoded now: what the core holds may move on before the transaction runs.
      const puts = writes.map(entryOf)
      const put = (): void => {
        if (!abandoned) for (const [key, value] of puts) table.put(key, value)
      }
      db.commit(put, () => {
        if (!abandoned) durable()
      })
    },
    close,
    abandon: () => {
      abandoned = true
      return close()
    },
  }
}

/** What is on the disk; undefined when the store was never formatted. */
function recover(table: LmdbTable, path: string, id: NodeId): RecoveredRegister | undefined {
  const entries = [...table.range()]
  if (entries.length === 0) return undefined
  const format = open(table.get(KEY_FORMAT), path, KEY_FORMAT) as Format
  if (format.kind !== 'configsvc' || format.version !== FORMAT_VERSION) {
    throw unusable(`store ${path} has another format (${format.kind}, version ${format.version})`)
  }
  // Its promises were made under another name.
  if (format.id !== id) throw unusable(`store ${path} belongs to config server ${format.id}, not to ${id}`)
  const promised = table.get(KEY_PROMISED)
  const accepted: Accepted[] = []
  for (const { key, value } of entries) {
    const name = String(key)
    if (!name.startsWith(ACCEPTED_PREFIX)) continue
    const a = read(value, acceptedSchema, path, name)
    if (name !== ACCEPTED_PREFIX + a.value.group)
      throw unusable(`store ${path} is damaged: ${name} holds group ${a.value.group}`)
    accepted.push(a)
  }
  return {
    storeId: format.storeId,
    promised: promised === undefined ? ZERO_BALLOT : read(promised, ballotSchema, path, KEY_PROMISED),
    accepted,
  }
}

function entryOf(write: RegisterWrite): [string, Uint8Array] {
  if (write.kind === 'promised') return [KEY_PROMISED, sealed(write.ballot)]
  return [ACCEPTED_PREFIX + write.group, sealed(write.accepted)]
}

/** u32 CRC · JSON: lmdb keeps no checksums of its own. */
function sealed(value: object): Uint8Array {
  const json = Buffer.from(JSON.stringify(value), 'utf8')
  const bytes = new Uint8Array(4 + json.length)
  writeU32(bytes, 0, crc32(json))
  bytes.set(json, 4)
  return bytes
}

/** What a schema of the shared words can do. */
interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { message: string } }
}

function read<T>(bytes: Uint8Array | undefined, schema: Schema<T>, path: string, key: string): T {
  const parsed = schema.safeParse(open(bytes, path, key))
  if (!parsed.success) throw unusable(`store ${path} cannot be read: ${key}: ${parsed.error.message}`)
  return parsed.data
}

function open(bytes: Uint8Array | undefined, path: string, key: string): unknown {
  if (bytes === undefined) throw unusable(`store ${path} is damaged: ${key} is missing`)
  if (bytes.length < 4 || crc32(bytes.subarray(4)) !== readU32(bytes, 0)) {
    throw unusable(
      `store ${path} is damaged: the checksum of ${key} is wrong; this server must not vote with it. ${REMEDY}`,
    )
  }
  return JSON.parse(Buffer.from(bytes.subarray(4)).toString('utf8'))
}

const REMEDY = 'Restore its disk; the other config servers go on as long as they are a majority'

function unusable(message: string): StartupError {
  return new StartupError('STORE_UNUSABLE', message)
}
