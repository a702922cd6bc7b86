// Options that nobody knows are refused: one that is misspelt would be dropped in silence, and a key that was to end would stay.
import { invalid, kindOf } from './codecs.js'

const CALL = ['signal', 'timeout']
const READ = [...CALL, 'consistency', 'from']
const SPAN = ['prefix', 'start', 'after', 'end']
const LOCK = [...CALL, 'ttl', 'wait']
const LIFETIME = ['ttl', 'session']
const ONCE = ['idempotencyKey', 'idempotencyTtl']

/** Options of each kind of call. */
export const KNOWN = {
  call: new Set(CALL),
  read: new Set(READ),
  put: new Set([...CALL, ...LIFETIME, ...ONCE, 'ifVersion']),
  delete: new Set([...CALL, ...ONCE, 'ifVersion']),
  update: new Set([...CALL, ...LIFETIME, ...ONCE]),
  count: new Set([...READ, ...SPAN]),
  range: new Set([...READ, ...SPAN, 'limit', 'reverse', 'pageSize']),
  step: new Set(LIFETIME),
  commit: new Set([...CALL, ...ONCE]),
  watch: new Set([...CALL, 'from', 'exact']),
  lock: new Set(LOCK),
  elect: new Set([...LOCK, 'value']),
  session: new Set([...CALL, 'ttl', 'name']),
  locks: new Set([...CALL, 'prefix']),
  cached: new Set(['lease', 'max', 'of']),
} as const

/** Throws INVALID_ARGUMENT naming the option that is not known, or what was given instead of options. */
export function checkOptions(options: object | undefined, known: ReadonlySet<string>, what: string): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid(`${what}: options are an object, not ${kindOf(options)}`)
  for (const name in options) {
    if (!known.has(name)) throw invalid(`${what}: there is no option "${name}"; there are ${[...known].join(', ')}`)
  }
}
