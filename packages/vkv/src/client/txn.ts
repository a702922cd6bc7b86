// Transactions as their users write them (PRODUCT SDK): conditions, what is done when all hold, what is done when one does not, in one
// operation of the log.
import { CoppiceError, MAX_STORED_REPLY_BYTES, type Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { MAX_GUARDS, type Guard } from '../core/operation-parts.js'
import { decodeTxnReply, type StepResult, type TxnReply } from '../core/txn-reply.js'
import {
  encodeTxn,
  EXISTS,
  MAX_TXN_BYTES,
  MAX_TXN_PARTS,
  MISSING,
  VALUE_EQUAL,
  VALUE_NOT_EQUAL,
  VERSION_ABOVE,
  VERSION_BELOW,
  VERSION_EQUAL,
  VERSION_NOT_EQUAL,
  type Comparison,
} from '../core/txn.js'
import { Budget, type Options, type Tried } from './budget.js'
import { invalid } from './codecs.js'
import { fencedError } from './fenced.js'
import { HeldUp } from './held-up.js'
import type { KeyLike, KvEntry, LifetimeOptions, OnceOptions } from './kv-types.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { KvPorts } from './ports.js'
import { Branch, StepList, type Written } from './txn-steps.js'
import type { View } from './view.js'
import { refusal, underKey } from './write-options.js'

/** What must be true of a key; with several fields all of them. A missing key has version 0, and its value equals none. */
export interface Condition<V> {
  readonly exists?: boolean | undefined
  readonly version?: Index | undefined
  readonly versionNot?: Index | undefined
  readonly versionBelow?: Index | undefined
  readonly versionAbove?: Index | undefined
  readonly value?: V | Uint8Array | undefined
  readonly valueNot?: V | Uint8Array | undefined
}

/** `results`: of the steps, in their order. `version`: of everything that was written. */
export type TxnResult<Then extends readonly unknown[], Else extends readonly unknown[]> =
  | { readonly ok: true; readonly version: Index; readonly results: Then }
  /** `failed`: the key, as it stands in the store, of the first condition that did not hold. `results`: of the steps given to `else`. */
  | { readonly ok: false; readonly version: Index; readonly failed: string; readonly results: Else }

/** A view of a store with the locks that its writes depend on. */
export interface TxnPart<K, V> {
  readonly clerk: ClerkLike
  readonly view: View<K, V>
  readonly guards: readonly Guard[]
}

const VERSION_RELATIONS = {
  version: VERSION_EQUAL,
  versionNot: VERSION_NOT_EQUAL,
  versionBelow: VERSION_BELOW,
  versionAbove: VERSION_ABOVE,
} as const
const VALUE_RELATIONS = { value: VALUE_EQUAL, valueNot: VALUE_NOT_EQUAL } as const

/**
 * A transaction that is being written down. Conditions and gets see the store before it, puts and deletes come after them, all at one index; a key
 * is written once at the most. `await` never commits it: there is no `then`, the steps themselves are what is done when all conditions hold.
 */
export class Txn<K, V, Then extends readonly unknown[] = [], Else extends readonly unknown[] = []> {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  #view: View<K, V>
  readonly #guards: Guard[]
  readonly #comparisons: Comparison[] = []
  readonly #success: StepList
  readonly #failure: StepList

  constructor(ports: KvPorts, { clerk, view, guards }: TxnPart<K, V>) {
    this.#clerk = clerk
    this.#ports = ports
    this.#view = view
    this.#guards = [...guards]
    this.#success = new StepList(ports.text)
    this.#failure = new StepList(ports.text)
  }

  /** What follows is about another view of the same store: `.in(users).put('7', user)`. Its locks must be held too. */
  in<K2, V2>(kv: { readonly part: TxnPart<K2, V2> }): Txn<K2, V2, Then, Else> {
    const { clerk, view, guards } = kv.part
    if (clerk !== this.#clerk) throw invalid('txn: a view of another connection')
    for (const guard of guards) if (!this.#guards.includes(guard)) this.#guards.push(guard)
    const other = this as unknown as Txn<K2, V2, Then, Else>
    other.#view = view
    return other
  }

  /** Only if the key has this version; 0: only if it is missing. */
  check(key: K | KeyLike, version: Index): this {
    return this.if(key, { version })
  }

  /** Only if all of the condition's fields hold of the key. */
  if(key: K | KeyLike, condition: Condition<V>): this {
    const bytes = this.#view.key(key)
    const before = this.#comparisons.length
    for (const [name, given] of Object.entries(condition) as [keyof Condition<V>, unknown][]) {
      if (given !== undefined) this.#comparisons.push(this.#comparison(bytes, name, given))
    }
    if (this.#comparisons.length === before) throw invalid('txn: a condition says nothing')
    return this
  }

  /** Writes the key, if all conditions hold; what it had of a ttl or a session before is over. */
  put(key: K | KeyLike, value: V | Uint8Array, options?: LifetimeOptions): Txn<K, V, [...Then, Written<K>], Else> {
    this.#success.put(this.#view, key, value, options)
    return this as unknown as Txn<K, V, [...Then, Written<K>], Else>
  }

  /** Deletes the key, if all conditions hold. */
  delete(key: K | KeyLike): Txn<K, V, [...Then, Written<K>], Else> {
    this.#success.delete(this.#view, key)
    return this as unknown as Txn<K, V, [...Then, Written<K>], Else>
  }

  /** Reads the key as it was before this transaction, if all conditions hold. */
  get(key: K | KeyLike): Txn<K, V, [...Then, KvEntry<K, V> | undefined], Else> {
    this.#success.get(this.#view, key)
    return this as unknown as Txn<K, V, [...Then, KvEntry<K, V> | undefined], Else>
  }

  /** What is done instead when a condition does not hold: `.else((t) => t.get(key).delete(other))`. */
  else<More extends readonly unknown[]>(
    steps: (branch: Branch<K, V>) => Branch<K, V, More>,
  ): Txn<K, V, Then, [...Else, ...More]> {
    steps(new Branch(this.#view, this.#failure))
    return this as unknown as Txn<K, V, Then, [...Else, ...More]>
  }

  /**
   * Applies it exactly once. With an `idempotencyKey` it is done once whoever commits the same steps under it: the answer, what its gets found
   * included, is kept when the branch that was taken writes, and is up to 64 KiB as any answer of a transaction; what only read is read again.
   * Errors: those of any write; FENCED; SESSION_ENDED; IDEMPOTENCY_CONFLICT; LIMIT_REACHED; TOO_LARGE, also when the gets find more than an
   * answer may have.
   */
  async commit(options: Options & OnceOptions = {}): Promise<TxnResult<Then, Else>> {
    checkOptions(options, KNOWN.commit, 'commit')
    const budget = new Budget(this.#clerk, this.#ports, options)
    const reply = await this.#submit(underKey(this.#encode(budget.tried), options, this.#ports.text), budget)
    switch (reply.kind) {
      case 'fenced':
        throw fencedError(this.#ports.text, 'txn', this.#guards[reply.guard]!, reply.fence, budget.tried)
      case 'replyTooLarge':
        throw tooLarge(
          `what its gets found is above the limit of ${MAX_STORED_REPLY_BYTES} bytes of a reply`,
          budget.tried,
        )
      case 'success':
        return { ok: true, version: reply.version, results: this.#resultsOf(this.#success, reply) as never }
      case 'failure': {
        const failed = this.#ports.text.decode(this.#comparisons[reply.failed]!.key)
        return { ok: false, version: reply.version, failed, results: this.#resultsOf(this.#failure, reply) as never }
      }
      default:
        throw refusal(reply, 'txn', budget.tried)
    }
  }

  async #submit(operation: Uint8Array, budget: Budget): Promise<Exclude<TxnReply, { kind: 'blocked' }>> {
    const held = new HeldUp(budget)
    for (;;) {
      const reply = decodeTxnReply(await this.#clerk.submit(operation, budget.next('txn')))
      if (reply.kind !== 'blocked') return reply
      await held.pause(reply.waitMs, 'txn')
    }
  }

  #encode(tried: Tried): Uint8Array {
    const parts = this.#comparisons.length + this.#success.length + this.#failure.length
    if (parts > MAX_TXN_PARTS)
      throw tooLarge(`${parts} conditions and steps are above the limit of ${MAX_TXN_PARTS}`, tried)
    if (this.#guards.length > MAX_GUARDS)
      throw tooLarge(`${this.#guards.length} locks are above the limit of ${MAX_GUARDS}`, tried)
    const operation = encodeTxn({
      guards: this.#guards,
      comparisons: this.#comparisons,
      success: this.#success.steps,
      failure: this.#failure.steps,
    })
    if (operation.length <= MAX_TXN_BYTES) return operation
    throw tooLarge(`${operation.length} bytes are above the limit of ${MAX_TXN_BYTES}`, tried)
  }

  #resultsOf(list: StepList, reply: { readonly version: Index; readonly results: readonly StepResult[] }): unknown[] {
    if (reply.results.length !== list.length)
      throw new CoppiceError(`txn: ${reply.results.length} results for ${list.length} steps`, INTERNAL)
    return list.resultsOf(reply.version, reply.results)
  }

  #comparison(key: Uint8Array, name: keyof Condition<V>, given: unknown): Comparison {
    switch (name) {
      case 'exists':
        if (typeof given !== 'boolean') throw invalid(`txn: exists is ${String(given)}, not true or false`)
        return { key, relation: given ? EXISTS : MISSING }
      case 'version':
      case 'versionNot':
      case 'versionBelow':
      case 'versionAbove':
        return { key, relation: VERSION_RELATIONS[name], version: checkedVersion(name, given) }
      case 'value':
      case 'valueNot':
        // A copy: the caller may write over its bytes before the commit.
        return {
          key,
          relation: VALUE_RELATIONS[name],
          value: this.#view.value(key, given as V, 'compared value').slice(),
        }
      default:
        // A condition that is misspelt must not be dropped.
        throw invalid(`txn: there is no condition "${String(name)}"`)
    }
  }
}

const INTERNAL = { code: 'INTERNAL', outcome: 'applied' } as const

function tooLarge(message: string, tried: Tried): CoppiceError {
  return new CoppiceError(`txn: ${message}; nothing was written`, {
    code: 'TOO_LARGE',
    outcome: 'not-applied',
    ...tried,
  })
}

function checkedVersion(name: string, given: unknown): Index {
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return given
  throw invalid(`txn: ${name} is ${String(given)}, not a version`)
}
