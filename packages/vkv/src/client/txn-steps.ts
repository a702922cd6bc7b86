// The steps of one branch of a transaction, and what is made of their results.
import type { Index, TextPort } from '@coppice/protocol'
import { STEP_DELETE, STEP_GET, STEP_PUT, STEP_PUT_LASTING } from '../core/step-cursor.js'
import type { Step } from '../core/txn.js'
import type { StepResult } from '../core/txn-reply.js'
import { invalid, shown } from './codecs.js'
import { checkOptions, KNOWN } from './known-options.js'
import type { KeyLike, KvEntry, LifetimeOptions } from './kv-types.js'
import type { View } from './view.js'
import { lifetimeOf } from './write-options.js'

/** What a put or a delete of a transaction answers. */
export interface Written<K> {
  readonly key: K
  /** Whether it was there before. */
  readonly existed: boolean
  readonly version: Index
}

export class StepList {
  readonly steps: Step[] = []
  readonly #text: TextPort
  /** Each makes of a step's result what the user gets. */
  readonly #makers: ((result: StepResult, version: Index) => unknown)[] = []
  /** Keys that are written, one character a byte. */
  readonly #written = new Set<string>()

  constructor(text: TextPort) {
    this.#text = text
  }

  get length(): number {
    return this.steps.length
  }

  put<K, V>(view: View<K, V>, key: K | KeyLike, value: V | Uint8Array, options: LifetimeOptions = {}): void {
    checkOptions(options, KNOWN.step, 'put')
    const lifetime = lifetimeOf(options)
    const bytes = this.#writtenKey(view, key)
    // A copy: the caller may write over its bytes before the commit.
    const put = { key: bytes, value: view.value(bytes, value, 'value').slice() }
    const step: Step =
      lifetime === undefined
        ? { kind: STEP_PUT, ...put }
        : { kind: STEP_PUT_LASTING, ...put, ttlMs: lifetime.ttlMs ?? 0, session: lifetime.session ?? 0 }
    this.#add(step, writtenOf(view, bytes))
  }

  delete<K, V>(view: View<K, V>, key: K | KeyLike): void {
    const bytes = this.#writtenKey(view, key)
    this.#add({ kind: STEP_DELETE, key: bytes }, writtenOf(view, bytes))
  }

  get<K, V>(view: View<K, V>, key: K | KeyLike): void {
    const bytes = view.key(key)
    this.#add({ kind: STEP_GET, key: bytes }, (result): KvEntry<K, V> | undefined => {
      const found = result.kind === 'get' ? result.found : undefined
      return found === undefined ? undefined : view.entry(bytes, found, 'applied')
    })
  }

  resultsOf(version: Index, results: readonly StepResult[]): unknown[] {
    return results.map((result, i) => this.#makers[i]!(result, version))
  }

  #add(step: Step, maker: (result: StepResult, version: Index) => unknown): void {
    this.steps.push(step)
    this.#makers.push(maker)
  }

  // Two values under one version would be two answers to one question.
  #writtenKey<K, V>(view: View<K, V>, key: K | KeyLike): Uint8Array {
    const bytes = view.key(key)
    let name = ''
    for (const byte of bytes) name += String.fromCharCode(byte)
    if (this.#written.has(name)) throw invalid(`txn: key ${shown(bytes, this.#text)} is written twice`)
    this.#written.add(name)
    return bytes
  }
}

function writtenOf<K, V>(view: View<K, V>, key: Uint8Array): (result: StepResult, version: Index) => Written<K> {
  return (result, version) => ({ key: view.userKey(key), existed: result.kind !== 'get' && result.existed, version })
}

/** The steps of `else`. */
export class Branch<K, V, Results extends readonly unknown[] = []> {
  readonly #view: View<K, V>
  readonly #list: StepList

  constructor(view: View<K, V>, list: StepList) {
    this.#view = view
    this.#list = list
  }

  /** Writes the key; what it had of a ttl or a session before is over. */
  put(key: K | KeyLike, value: V | Uint8Array, options?: LifetimeOptions): Branch<K, V, [...Results, Written<K>]> {
    this.#list.put(this.#view, key, value, options)
    return this as unknown as Branch<K, V, [...Results, Written<K>]>
  }

  delete(key: K | KeyLike): Branch<K, V, [...Results, Written<K>]> {
    this.#list.delete(this.#view, key)
    return this as unknown as Branch<K, V, [...Results, Written<K>]>
  }

  get(key: K | KeyLike): Branch<K, V, [...Results, KvEntry<K, V> | undefined]> {
    this.#list.get(this.#view, key)
    return this as unknown as Branch<K, V, [...Results, KvEntry<K, V> | undefined]>
  }
}
