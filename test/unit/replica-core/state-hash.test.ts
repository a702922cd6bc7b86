// The hash of the state at one index at all members (I9), while they serve.
import { describe, expect, it } from 'vitest'
import { addAll, change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

interface Answer {
  index: number
  state: string
  hash: string
}

/** Asks members as the command does. */
class Asker {
  readonly #s: Setup
  readonly #answers = new Map<number, Answer>()
  #requestId = 0

  constructor(s: Setup) {
    this.#s = s
    const others = s.c.onClient
    s.c.onClient = (server, connection, message) => {
      if (connection !== 77) return others(server, connection, message)
      if (message.kind === 'hashAnswer') this.#answers.set(message.requestId, message)
    }
  }

  ask(id: string, index: number): Answer {
    const requestId = ++this.#requestId
    this.#s.c.client(id, 77, { kind: 'hash', requestId, index })
    expect(this.#s.c.run(1_000, () => this.#answers.has(requestId))).toBe(true)
    return this.#answers.get(requestId)!
  }

  until(id: string, index: number): Answer {
    for (let i = 0; i < 100; i++) {
      const answer = this.ask(id, index)
      if (answer.state !== 'running') return answer
      this.#s.c.run(20)
    }
    throw new Error(`${id} never has the hash at ${index}`)
  }
}

const hashAts = (s: Setup): number => s.c.sent.filter((m) => m.message.kind === 'hashAt').length

/** The primary was asked for a hash, and c, which heard of its index, lacks the record before that. */
function askedWhileOneIsBehind(): { s: Setup; asker: Asker; index: number } {
  const s = startCluster()
  const asker = new Asker(s)
  s.c.cut.add('a>c')
  s.clerk.add([1, 2])
  s.c.run(50)
  s.c.cut.clear()
  const { index } = asker.ask('a', 0)
  s.c.run(10)
  expect(s.c.view('c').nextIndex).toBeLessThan(index)
  expect(asker.ask('c', index).state).toBe('running')
  return { s, asker, index }
}

describe('state hash', () => {
  it('is_taken_at_one_index_while_entries_are_written', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const s = startCluster({ seed })
      s.c.faults.delayMs = 5
      s.c.faults.diskMs = 3
      const asker = new Asker(s)
      for (let i = 0; i < 20; i++) s.clerk.add([i % 7, (i + 3) % 7])
      const { index } = asker.ask('a', 0)
      for (let i = 0; i < 20; i++) {
        s.clerk.add([i % 5])
        s.c.run(2)
      }
      const answers = ['a', 'b', 'c'].map((id) => asker.until(id, index))
      expect(answers.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
      expect(new Set(answers.map(({ hash }) => hash)).size).toBe(1)
      s.c.run(500, () => s.clerk.open === 0)
      expect(s.c.view('a').nextIndex).toBeGreaterThan(index)
      expect(s.c.view('a').stateHash()).not.toBe(answers[0]!.hash)
    }
  })

  it('is_taken_by_a_member_that_is_behind_when_it_gets_there', () => {
    const { s, asker, index } = askedWhileOneIsBehind()
    // It then has that record and the next one at once.
    s.clerk.add([3])
    const answers = ['a', 'b', 'c'].map((id) => asker.until(id, index))
    expect(new Set(answers.map(({ hash }) => hash)).size).toBe(1)
    expect(answers[2]!.state).toBe('done')
  })

  it('is_taken_by_a_member_whose_log_comes_to_end_there_and_goes_no_further', () => {
    const { s, asker, index } = askedWhileOneIsBehind()
    const answers = ['a', 'b', 'c'].map((id) => asker.until(id, index))
    expect(answers.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
    expect(new Set(answers.map(({ hash }) => hash)).size).toBe(1)
    expect(s.c.view('c').nextIndex).toBe(index)
  })

  it('is_missed_by_a_member_whose_log_gets_there_only_in_another_epoch', () => {
    const { s, asker, index } = askedWhileOneIsBehind()
    change(s, ['a', 'b', 'c'])
    addAll(s, [3])
    expect(asker.ask('c', index).state).toBe('missed')
    expect(asker.until('a', index).state).toBe('done')
  })

  it('is_not_begun_by_records_of_another_epoch', () => {
    const s = startCluster()
    const asker = new Asker(s)
    const index = s.c.view('b').nextIndex + 2
    s.c.send('a', 'b', { kind: 'hashAt', group: 'main', epoch: 1, index } as never)
    s.c.run(50)
    expect(asker.ask('b', index).state).toBe('running')
    change(s, ['a', 'b', 'c'])
    while (s.c.view('b').nextIndex <= index) addAll(s, [1])
    expect(asker.ask('b', index).state).toBe('missed')
  })

  it('is_missed_by_a_member_that_never_heard_of_the_index', () => {
    const s = startCluster()
    addAll(s, [1])
    const asker = new Asker(s)
    s.c.cut.add('a>c')
    const { index } = asker.ask('a', 0)
    s.c.cut.clear()
    addAll(s, [2])
    expect(asker.ask('c', index).state).toBe('missed')
    expect(asker.until('b', index).state).toBe('done')
  })

  it('is_not_told_before_everything_below_it_is_committed', () => {
    const s = startCluster()
    const asker = new Asker(s)
    s.c.cut.add('c>a')
    s.clerk.add([1])
    s.c.run(20)
    const { index } = asker.ask('a', 0)
    s.c.run(300)
    expect(asker.ask('a', index).state).toBe('running')
    s.c.cut.clear()
    expect(asker.until('a', index).state).toBe('done')
  })

  it('is_begun_by_the_primary_alone_and_once_for_all_who_ask_meanwhile', () => {
    const s = startCluster()
    addAll(s, [1])
    const asker = new Asker(s)
    expect(asker.ask('b', 0)).toMatchObject({ state: 'notPrimary', index: 0 })
    s.c.client('a', 77, { kind: 'hash', requestId: 1_000, index: 0 })
    const { index } = asker.ask('a', 0)
    expect(hashAts(s)).toBe(2)
    expect(asker.until('c', index).state).toBe('done')
    // A later one looks anew.
    asker.ask('a', 0)
    expect(hashAts(s)).toBe(4)
  })

  it('of_another_epoch_or_sender_is_not_begun', () => {
    const s = startCluster()
    addAll(s, [1])
    const asker = new Asker(s)
    const { nextIndex } = s.c.view('b')
    s.c.send('c', 'b', { kind: 'hashAt', group: 'main', epoch: 1, index: nextIndex } as never)
    s.c.run(50)
    expect(asker.ask('b', nextIndex).state).toBe('missed')
    change(s, ['a', 'b'])
    s.c.send('a', 'b', { kind: 'hashAt', group: 'main', epoch: 1, index: nextIndex } as never)
    s.c.run(50)
    expect(asker.ask('b', nextIndex).state).toBe('missed')
  })
})
