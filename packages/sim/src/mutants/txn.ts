// Mutants of transactions (PROTOCOL 6, 9): what makes them one step for everybody.
import type { Mutant } from './mutant.js'

const FILE = 'vkv/dist/core/apply-txn.js'
const STORY = 'moves-between-keys'

export const TXN_MUTANTS: readonly Mutant[] = [
  {
    name: 'transaction compares nothing',
    rule: 'PROTOCOL 9',
    edits: [{ file: FILE, find: 'const failed = firstFailed(txn, b, store.keys);', replace: 'const failed = -1;' }],
    story: STORY,
    seeds: 3,
  },
  {
    name: 'transaction applies its other branch too',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: FILE,
        find: 'writeKeys(b, at, steps, index, store, changes);',
        replace: `writeKeys(b, at, steps, index, store, changes);
    if (failed < 0) writeKeys(b, txn.failureAt, txn.failure, index, store, changes);`,
      },
    ],
    story: STORY,
    seeds: 3,
  },
  {
    name: 'transaction leaves out its last step',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: FILE,
        find: 'writeKeys(b, at, steps, index, store, changes);',
        replace: 'writeKeys(b, at, steps > 1 ? steps - 1 : steps, index, store, changes);',
      },
    ],
    story: STORY,
    seeds: 3,
  },
]
