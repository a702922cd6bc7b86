// Mutants of watches: what leaves, what a checkpoint carries, how a watcher goes on.
import type { Mutant } from './mutant.js'

/** Each is one rule of watches switched off. */
export const WATCH_MUTANTS: readonly Mutant[] = [
  {
    name: 'changes above the commit index leave',
    rule: 'I7',
    edits: [
      {
        file: 'replica/dist/core/watches.js',
        find: 'if (index >= commitIndex)',
        replace: 'if (false)',
      },
    ],
    story: 'watched-while-a-disk-is-slow',
    seeds: 3,
  },
  {
    name: 'checkpoint forgets the change log',
    rule: 'PROTOCOL 5',
    edits: [
      {
        file: 'replica/dist/core/snapshots.js',
        find: 'return this.#changes.add(piece);',
        replace: 'return;',
      },
    ],
    story: 'new-member-serves-the-past',
    seeds: 2,
  },
  {
    name: 'resumption repeats a change',
    rule: 'watch',
    edits: [
      {
        file: 'clerk/dist/client/watches.js',
        find: 'from: watch.next, credit',
        replace: 'from: Math.max(0, watch.next - 1), credit',
      },
    ],
    story: 'watchers-lose-their-connections',
    seeds: 3,
  },
  {
    name: 'resumption skips a change',
    rule: 'watch',
    edits: [
      {
        file: 'clerk/dist/client/watches.js',
        find: 'from: watch.next, credit',
        replace: 'from: watch.next === 0 ? 0 : watch.next + 1, credit',
      },
    ],
    story: 'watchers-lose-their-connections',
    seeds: 3,
  },
  {
    name: 'resumption within an entry begins it anew',
    rule: 'watch',
    edits: [
      {
        file: 'clerk/dist/client/watches.js',
        find: 'watch.skip = watch.partial;',
        replace: 'watch.skip = 0;',
      },
    ],
    story: 'entry-is-told-in-part',
    seeds: 2,
  },
  {
    name: 'member that is left out keeps its watchers',
    rule: 'watch',
    edits: [
      {
        file: 'replica/dist/core/watches.js',
        find: '#endAll() {',
        replace: '#endAll() { return;',
      },
    ],
    story: 'members-are-replaced-under-watchers',
    seeds: 2,
  },
]
