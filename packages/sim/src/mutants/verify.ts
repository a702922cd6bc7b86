// A mutant of the hash that operators compare (I9): where it begins. What it is of, while tables change, is tried on the tables themselves.
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
]
