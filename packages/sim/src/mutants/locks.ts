// Mutants of locks (PROTOCOL 9).
import type { Mutant } from './mutant.js'

const TABLE = 'vkv/dist/core/lock-table.js'

export const LOCK_MUTANTS: readonly Mutant[] = [
  {
    // Who is given the lock writes with the fence of the one before.
    name: 'grant without a new fence',
    rule: 'PROTOCOL 9',
    edits: [
      { file: TABLE, find: 'fence: this.#index, expiry, inherited', replace: 'fence: lock.fence, expiry, inherited' },
    ],
    story: 'holder-writes-after-its-time',
    seeds: 1,
  },
  {
    name: 'grant to a lapsed waiter',
    rule: 'PROTOCOL 9',
    edits: [{ file: TABLE, find: 'const lives = this.#lives(waiter.session);', replace: 'const lives = true;' }],
    story: 'waiter-lapses-just-before-the-release',
    seeds: 1,
  },
  {
    name: 'places outlive their session',
    rule: 'PROTOCOL 9',
    edits: [
      { file: TABLE, find: 'const lives = this.#lives(waiter.session);', replace: 'const lives = true;' },
      {
        file: TABLE,
        find: 'if (this.#queue.someOf(session) === undefined)\n            return;',
        replace: 'return;',
      },
    ],
    story: 'waiter-dies',
    seeds: 1,
  },
  {
    // The lock is the waiter's, and nobody tells it.
    name: 'wake lost',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: TABLE,
        find: 'return this.#publish(CHANGE_LOCK_GRANTED, name, next);',
        replace: 'return;',
      },
    ],
    story: 'waiter-is-woken',
    seeds: 1,
  },
  {
    // A holding ends when somebody asks for the lock, not by time.
    name: 'holding without an end',
    rule: 'PROTOCOL 9',
    edits: [
      { file: 'vkv/dist/core/endings.js', find: 'state.locks.endDue(due.name.slice(0, due.nameEnd));', replace: '' },
    ],
    story: 'holder-dies',
    seeds: 1,
  },
  {
    name: 'grant not confirmed',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: 'vkv/dist/client/lock.js',
        find: 'if (!decodeDone(await this.#clerk.submit(renewal, this.#budget.next(what))))',
        replace: 'if (renewal.length === 0)',
      },
      // It would confirm itself by its first renewal.
      {
        file: 'vkv/dist/client/held-lock.js',
        find: 'void this.#renewLoop();',
        replace: '{}',
      },
    ],
    story: 'grant-is-held-for-long',
    seeds: 1,
  },
]
