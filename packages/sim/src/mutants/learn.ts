// Mutants of learning (PROTOCOL 2.2).
import type { Mutant } from './mutant.js'

export const LEARN_MUTANTS: readonly Mutant[] = [
  {
    // It asks whom it asked first, though that one is dead and LEARN names another.
    name: 'learner keeps its source',
    rule: 'PROTOCOL 2.2',
    edits: [
      {
        file: 'replica/dist/core/learn.js',
        find: 'if (this.#running && m.source.id !== this.#source && this.#fetch.isFruitless)',
        replace: 'if (false)',
      },
      { file: 'replica/dist/core/learn.js', find: 'this.#fetch.alsoFrom(m.source.id);', replace: ';' },
    ],
    story: 'source-of-a-learner-dies',
    seeds: 2,
  },
]
