// The recorded history of a run: every call on a key with its place in real time, what came of it, and the version it saw. Versions are
// log indexes, so most wrong reads are seen at once (I5): a read that began after version v of its key was known to somebody
// must return v or a later one, and one version has one value.
import type { Outcome } from '@coppice/protocol'
import type { Operation } from '../checker/index.js'
import { check } from '../kernel/violation.js'

/** A value, or null: absent. */
export type Value = string | null
export interface Seen {
  readonly version: number
  readonly value: Value
}

/** One call under way. */
export interface Call {
  readonly process: string
  readonly f: 'read' | 'write' | 'cas'
  readonly key: string
  readonly value: unknown
  readonly invoked: number
  /** Newest version of the key that anybody knew when the call began. */
  readonly floor: number
  /** The unique mark in what it writes; '' when it writes nothing marked. */
  readonly tag: string
  outcome: 'ok' | 'fail' | 'open' | 'never'
  completed: number
  result: unknown
}

export class History {
  readonly calls: Call[] = []
  #place = 0
  readonly #floors = new Map<string, number>()
  readonly #values = new Map<string, Value>()

  begin(process: string, f: Call['f'], key: string, value: unknown, tag = ''): Call {
    const call: Call = {
      process,
      f,
      key,
      value,
      tag,
      invoked: this.#place++,
      floor: this.#floors.get(key) ?? 0,
      outcome: 'open',
      completed: Infinity,
      result: undefined,
    }
    this.calls.push(call)
    return call
  }

  /** The call was answered. `seen`: the version and value that the key had by this answer, if it says so. */
  end(call: Call, outcome: 'ok' | 'fail', result: unknown, seen?: Seen): void {
    call.outcome = outcome
    call.completed = this.#place++
    call.result = result
    if (seen === undefined) return
    const { key, floor, process } = call
    check(seen.version >= floor, 'I5', () => {
      return `${process}: ${call.f} ${key} saw version ${seen.version}; version ${floor} was known before it began`
    })
    const name = `${key}@${seen.version}`
    const known = this.#values.get(name)
    check(known === undefined || known === seen.value, 'I5', () => `${name} is ${known} and ${seen.value}`)
    this.#values.set(name, seen.value)
    this.#floors.set(key, Math.max(seen.version, this.#floors.get(key) ?? 0))
  }

  /** The call failed. */
  failed(call: Call, outcome: Outcome): void {
    if (outcome !== 'not-applied') return
    call.outcome = 'never'
    call.completed = this.#place++
  }

  /** For the linearizability checker; a failed read says nothing. */
  operations(): Operation[] {
    const out: Operation[] = []
    for (const call of this.calls) {
      const { process, f, key, invoked } = call
      if (call.outcome === 'never' || (f === 'read' && call.outcome === 'open')) continue
      const value = f === 'read' ? call.result : call.value
      const completed = call.outcome === 'open' ? Infinity : call.completed
      out.push({ process, f, key: JSON.stringify(key), value, outcome: call.outcome, invoked, completed } as Operation)
    }
    return out
  }
}
