// Mutants of the client cache (PROTOCOL 9).
import type { Mutant } from './mutant.js'

export const CACHE_MUTANTS: readonly Mutant[] = [
  {
    name: 'write beside a lease',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: 'vkv/dist/core/cache-leases.js',
        find: 'if (waitMs < 0) {',
        replace: 'if (true) {',
      },
      {
        file: 'vkv/dist/core/cache-leases.js',
        find: 'changes.change(STREAM_CACHES, LEASE_REVOKED, topic, 0, ID_BYTES, b, keyStart, keyEnd);',
        replace: ';',
      },
    ],
    story: 'cached-key-is-written',
    seeds: 2,
  },
  {
    name: 'cache trusts a lease that is over',
    rule: 'PROTOCOL 9',
    edits: [
      {
        file: 'vkv/dist/client/cache-holder.js',
        find: 'return now < this.#validUntil;',
        replace: 'return this.#id !== 0;',
      },
    ],
    story: 'cache-is-cut-off',
    seeds: 2,
  },
]
