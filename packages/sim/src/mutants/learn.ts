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
  {
    // What it gave up for a snapshot that does not come is built upon as if it were there.
    name: 'learner goes on with half a state',
    rule: 'PROTOCOL 5',
    edits: [
      {
        file: 'replica/dist/core/shared.js',
        find: 'recallState() {',
        replace: 'recallState() { return false;',
      },
    ],
    story: 'snapshot-ends-halfway',
    seeds: 2,
  },
  {
    // It goes on with the chunks it has, though the source has another snapshot by now.
    name: 'chunks of two snapshots',
    rule: 'PROTOCOL 5',
    edits: [
      {
        file: 'replica/dist/core/fetch.js',
        find: 'left?.origin.snapshotId === snapshotId ? left : undefined',
        replace: 'left',
      },
    ],
    story: 'killed-learner-finds-another-snapshot',
    seeds: 2,
  },
  {
    // What it had asked for when it was killed is taken to be here.
    name: 'resumed with what was only asked for',
    rule: 'PROTOCOL 5',
    edits: [
      {
        file: 'replica/dist/core/fetch.js',
        find: 'this.#incoming.found(resumed.have);',
        replace: 'this.#incoming.found([...Array(chunks).keys()]);',
      },
    ],
    story: 'killed-learner-goes-on',
    seeds: 2,
  },
  {
    // The state that is rebuilt as a snapshot comes knows no clerk.
    name: 'rebuilt without the table',
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: 'replica/dist/core/rebuild.js',
        find: 'this.#loader.add(next);',
        replace: 'if (next[0] !== 1) this.#loader.add(next);',
      },
    ],
    story: 'spare-learns-a-snapshot',
    seeds: 2,
  },
]
