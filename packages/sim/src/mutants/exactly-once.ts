// Mutants of exactly-once (PROTOCOL 6).
import type { Mutant } from './mutant.js'

export const EXACTLY_ONCE_MUTANTS: readonly Mutant[] = [
  {
    name: 'duplicate-before-commit',
    rule: '6',
    file: 'replica/dist/core/pending-replies.js',
    edits: [{ find: 'const committed = index < this.#s.commitIndex;', replace: 'const committed = index >= 0;' }],
    seeds: 200,
    faults: ['resetLink', 'slowDisk', 'isolatePrimary', 'slowNetwork', 'hangDisk'],
    plan: { faultEveryMs: 350 },
  },
  {
    name: 'no-de-duplication',
    rule: '6',
    file: 'replica/dist/core/clerk-session.js',
    edits: [{ find: 'out.knownTo = clamp(next, out.staleTo, end);', replace: 'out.knownTo = out.staleTo;' }],
    seeds: 60,
    story: 'replies-lost',
  },
  {
    name: 'skipped-id-reused',
    rule: '6',
    file: 'clerk/dist/client/session.js',
    edits: [
      {
        find: 'this.window.abandon(call);',
        replace: `this.window.abandon(call);
          if (call.id === this.window.nextId - 1) {
            this.window.nextId--;
            this.window.size--;
            this.cursor = Math.min(this.cursor, this.window.nextId);
            this.ports.schedule();
            return call.attempts === 0 ? 'not-applied' : 'unknown';
          }`,
      },
    ],
    seeds: 200,
  },
]
