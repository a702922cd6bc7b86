// Mutants of the replica core and the clerk (PROTOCOL 2.7, 4, 5, 6).
import type { Mutant } from './mutant.js'

const CORE = 'replica/dist/core'

export const REPLICA_MUTANTS: readonly Mutant[] = [
  {
    // It acknowledges what it appended in the same turn.
    name: 'ack before durable',
    rule: 'R2',
    edits: [
      {
        file: `${CORE}/backup.js`,
        find: 'const durableIndex = s.disk.durableIndex;',
        replace: 'const durableIndex = s.log.nextIndex;',
      },
      {
        file: `${CORE}/backup.js`,
        find: 'this.#early.delete(header.firstIndex);',
        replace: 'this.#early.delete(header.firstIndex); this.#ackDue = true;',
      },
    ],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    name: 'majority instead of all',
    rule: 'R3',
    edits: [
      {
        file: `${CORE}/replication.js`,
        find: 'if (least > s.commitIndex)',
        replace: `const all = [s.disk.durableIndex, ...this.#backups.map((b) => b.durable)].sort((x, y) => y - x);
        least = all[Math.floor(all.length / 2)];
        if (least > s.commitIndex)`,
      },
    ],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    name: 'no lease check',
    rule: 'PROTOCOL 4 (a)',
    edits: [
      {
        file: `${CORE}/reads.js`,
        find: 'const leased = this.#lease.valid(s.now);',
        replace: 'const leased = true;',
      },
    ],
    story: 'reader-stays-with-a-lost-member',
    seeds: 3,
  },
  {
    name: 'no commit wait',
    rule: 'PROTOCOL 4 (c)',
    edits: [{ file: `${CORE}/reads.js`, find: 'if (s.commitIndex >= dep) {', replace: 'if (true) {' }],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    name: 'commit wait off by one',
    rule: 'PROTOCOL 4 (b)',
    edits: [
      {
        file: `${CORE}/reads.js`,
        find: 'const dep = Math.max(1 + version, atLeast);',
        replace: 'const dep = Math.max(version, atLeast);',
      },
    ],
    story: 'newest-value-dies-with-its-primary',
    seeds: 3,
  },
  {
    // Remembers the last answer to each query that was committed, and gives that instead of waiting.
    name: 'last-committed reads',
    rule: 'PROTOCOL 4 (c)',
    edits: [
      {
        file: `${CORE}/reads.js`,
        find: 'if (s.commitIndex >= dep) {',
        replace: `const query = m.ops.buffer.slice(start, at).join();
            this.committed ??= new Map();
            const last = this.committed.get(query);
            if (s.commitIndex >= dep) this.committed.set(query, ready.buffer.slice(head + 8, ready.length));
            else if (last !== undefined) {
                ready.length = head;
                const place = ready.grow(8);
                writeU32(ready.buffer, place, i);
                writeU32(ready.buffer, place + 4, last.length);
                ready.raw(last);
                readyCount++;
                continue;
            }
            if (s.commitIndex >= dep) {`,
      },
    ],
    story: 'backup-does-not-hear-of-the-commit',
    seeds: 3,
  },
  {
    name: 'ping in an epoch that never ran',
    rule: 'PROTOCOL 2.7, 4',
    edits: [
      {
        file: `${CORE}/ping.js`,
        find: 's.activated && !s.sealed && !s.reloading;',
        replace: '!s.sealed && !s.reloading;',
      },
      { file: `${CORE}/ping.js`, find: 'if (!s.running)', replace: 'if (s.sealed || s.reloading)' },
      {
        file: `${CORE}/ping.js`,
        find: 'm.epoch !== s.meta.epoch || !s.isMember(from))',
        replace: 'm.epoch !== s.meta.epoch)',
      },
      {
        file: `${CORE}/reads.js`,
        find: 'if (!s.activated || !this.#stillChosen())',
        replace: 'if (!this.#stillChosen())',
      },
      {
        file: `${CORE}/install.js`,
        find: 's.members = [];',
        replace: 's.members = m.members.map((server) => server.id);',
      },
    ],
    story: 'epoch-that-never-ran',
    seeds: 3,
  },
  {
    name: 'start not committed by activation',
    rule: 'C2',
    edits: [
      {
        file: `${CORE}/membership.js`,
        find: 's.commitIndex = Math.max(s.commitIndex, configuration.start);',
        replace: '',
      },
    ],
    story: 'idle-after-a-failover',
    seeds: 3,
  },
  {
    name: 'seal not durable',
    rule: 'PROTOCOL 2.3',
    edits: [
      {
        file: `${CORE}/seal.js`,
        find: 's.disk.whenDurable(() => {',
        replace: '[0].forEach(() => {',
      },
    ],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    // It does not tell that it cannot lead, either: to itself it can.
    name: 'primary resumes its epoch',
    rule: 'PROTOCOL 2.7',
    edits: [
      { file: `${CORE}/primary.js`, find: 'if (s.recovered.meta.claim === epoch)', replace: 'if (false)' },
      { file: `${CORE}/report.js`, find: 's.recovered.meta.claim === meta.epoch', replace: 'false' },
    ],
    story: 'primary-restarts-at-once',
    seeds: 3,
  },
  {
    name: 'duplicate before commit',
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: `${CORE}/pending-replies.js`,
        find: 'const committed = index < this.#s.commitIndex;',
        replace: 'const committed = true;',
      },
    ],
    story: 'sent-again-before-commit',
    seeds: 3,
  },
  {
    name: 'no de-duplication',
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: `${CORE}/clerk-session.js`,
        find: 'out.knownTo = clamp(next, out.staleTo, end);',
        replace: 'out.knownTo = out.staleTo;',
      },
    ],
    story: 'sent-again-before-commit',
    seeds: 3,
  },
  {
    // The newest id is taken back when its caller gives up, and the next request gets it.
    name: 'skipped id reused',
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: 'clerk/dist/client/session.js',
        find: 'this.window.abandon(call);',
        replace: `if (call.id === this.window.nextId - 1) {
            this.window.giveBack(call);
            this.cursor = Math.min(this.cursor, call.id);
            this.ports.schedule();
            return 'unknown';
        }
        this.window.abandon(call);`,
      },
      {
        file: 'clerk/dist/client/window.js',
        find: 'complete(call) {',
        replace: `giveBack(call) {
        this.abandon(call);
        this.#ring[call.id % CLERK_WINDOW] = undefined;
        this.size--;
        this.nextId = call.id;
    }
    complete(call) {`,
      },
    ],
    story: 'given-up-and-another',
    seeds: 3,
  },
  {
    // A backup acknowledges a record before its state holds it; who reads meanwhile must not notice.
    name: 'reads before what is due',
    rule: 'PROTOCOL 4 (b)',
    edits: [
      {
        file: `${CORE}/shared.js`,
        find: 'this.due.settle();\n        return this.#machine;',
        replace: 'return this.#machine;',
      },
    ],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    // Whatever completes is taken for the newest write that was begun.
    name: 'disk completions reordered',
    rule: 'R2',
    edits: [
      {
        file: `${CORE}/disk-queue.js`,
        find: 'const first = lane.shift();',
        replace: 'const first = lane.pop();',
      },
      {
        file: `${CORE}/disk-queue.js`,
        find: 'first !== undefined && first.token === token',
        replace: 'first !== undefined',
      },
    ],
    story: 'one-slow-disk-then-failover',
    seeds: 3,
  },
  {
    name: 'ENTER repeated',
    rule: 'PROTOCOL 2.4',
    edits: [{ file: `${CORE}/install.js`, find: 'if (m.epoch === epoch) {', replace: 'if (false) {' }],
    story: 'enter-comes-again',
    seeds: 3,
  },
  {
    // Only ends of logs are compared, by who plans and by who ships.
    name: 'LWM-only delta',
    rule: 'D3',
    edits: [
      {
        file: `${CORE}/lineage/plan-delta.js`,
        find: 'let d = Math.min(source.next, target.next);',
        replace: `return Math.min(source.next, target.next);
    let d = 0;`,
      },
      {
        file: `${CORE}/transfer.js`,
        find: 'if (m.from > s.log.nextIndex || s.epochAt(m.from - 1) !== m.fromEpoch)',
        replace: 'if (m.from > s.log.nextIndex)',
      },
    ],
    story: 'old-primary-returns-with-a-tail-of-its-own',
    seeds: 3,
  },
]
