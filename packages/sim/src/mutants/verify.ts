// Mutants of the hash that operators compare (I9): where it begins, and what it is of.
import type { Mutant } from './mutant.js'

const STORY = 'verified-while-written'

export const VERIFY_MUTANTS: readonly Mutant[] = [
  {
    name: 'hash is taken wherever a member is',
    rule: 'I9',
    edits: [
      {
        file: 'replica/dist/core/state-hash.js',
        find: 'this.reached(s.log.nextIndex);',
        replace: 'this.#begin();',
      },
    ],
    story: STORY,
    seeds: 3,
  },
  {
    name: 'hash leaves out what changes before its turn',
    rule: 'I9',
    edits: [{ file: 'vkv/dist/core/table-walk.js', find: 'this.#aside(number, table, handle);', replace: '' }],
    story: STORY,
    seeds: 3,
  },
  {
    name: 'hash takes in what was written after its beginning',
    rule: 'I9',
    edits: [
      {
        file: 'vkv/dist/core/table-walk.js',
        find: 'if (table.versionOf(handle) <= this.#lastIndex)',
        replace: 'if (true)',
      },
    ],
    story: STORY,
    seeds: 3,
  },
]
