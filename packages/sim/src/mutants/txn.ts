// Mutants of transactions (PROTOCOL 6, 9): what makes them one step for everybody.
import type { Mutant } from './mutant.js'

const FILE = 'vkv/dist/core/apply-txn.js'
const WRITE = 'return writeKeys(txn.stepsOf(branch), index, b, store, changes);'
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
        find: WRITE,
        replace: `const wrote = writeKeys(txn.stepsOf(branch), index, b, store, changes);
    if (failed < 0) writeKeys(txn.stepsOf('failure'), index, b, store, changes);
    return wrote;`,
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
        find: WRITE,
        replace: `const steps = txn.stepsOf(branch).begin(txn[branch + 'At'], Math.max(1, txn[branch] - 1));
    return writeKeys(steps, index, b, store, changes);`,
      },
    ],
    story: STORY,
    seeds: 3,
  },
  {
    name: 'transaction forgets how long its keys last',
    rule: 'PRODUCT ttl',
    edits: [
      {
        file: FILE,
        find: 'valueStart, valueEnd, ttlMs, session, changes);',
        replace: 'valueStart, valueEnd, 0, 0, changes);',
      },
    ],
    story: 'keys-of-transactions-end',
    seeds: 2,
  },
  {
    name: 'transaction binds keys to a session that has ended',
    rule: 'PRODUCT sessions',
    edits: [
      {
        file: FILE,
        find: 'if (txn.bindsKeys && sessionsRefuse(txn.stepsOf(branch), b, store, out, start))',
        replace: 'if (false)',
      },
    ],
    story: 'keys-of-transactions-end',
    seeds: 2,
  },
  {
    name: 'transaction counts one key of a session',
    rule: 'PRODUCT sessions',
    edits: [{ file: FILE, find: 'const more = (added.get(session) ?? 0) + 1;', replace: 'const more = 1;' }],
    story: 'session-filled-by-transactions',
    seeds: 1,
  },
  {
    name: 'ttl of a transaction counts from an older time',
    rule: 'PROTOCOL 6',
    edits: [{ file: 'vkv/dist/core/operations.js', find: 'kind === OP_TXN_TIMED || ', replace: '' }],
    story: 'ttl-of-a-transaction-in-a-record-begun-earlier',
    seeds: 2,
  },
  {
    name: 'repeated transaction is done again',
    rule: 'PRODUCT idempotencyKey',
    edits: [
      {
        file: 'vkv/dist/core/kv-machine.js',
        find: 'done = applyTxn(op.txn, index, b, this, out, changes);',
        replace: 'done = applyTxn(op.txn, index, b, this, out, changes) && false;',
      },
    ],
    story: 'transaction-repeated-under-its-idempotency-key',
    seeds: 2,
  },
]
