// Mutants of replication, durability and reads (PROTOCOL 4, 5).
import type { Mutant } from './mutant.js'

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'ack-before-durable',
    rule: 'R2',
    file: 'replica/dist/core/backup.js',
    edits: [{ find: 'const durableIndex = s.disk.durableIndex;', replace: 'const durableIndex = s.log.nextIndex;' }],
    seeds: 20,
  },
  {
    name: 'majority-instead-of-all',
    rule: 'R3',
    file: 'replica/dist/core/replication.js',
    edits: [
      {
        find: 'for (const b of this.#backups) if (b.durable < least) least = b.durable;',
        replace: `least = [least, ...this.#backups.map((b) => b.durable)].sort((x, y) => y - x)[
          Math.floor((this.#backups.length + 1) / 2)];`,
      },
    ],
    seeds: 20,
  },
  {
    name: 'disk-completions-reordered',
    rule: 'R2',
    file: 'sim/dist/kernel/disk.js',
    edits: [{ find: 'for (const { done } of running)', replace: 'for (const { done } of running.reverse())' }],
    seeds: 50,
  },
  {
    name: 'no-lease-check',
    rule: '4 (a)',
    file: 'replica/dist/core/reads.js',
    edits: [{ find: 'const leased = this.#lease.valid(s.now);', replace: 'const leased = s.activated;' }],
    seeds: 300,
    faults: ['isolatePrimary', 'partitionTwoWay', 'pausePrimary', 'partitionOneWay'],
  },
  {
    name: 'no-commit-wait',
    rule: '4 (c)',
    file: 'replica/dist/core/reads.js',
    edits: [{ find: 'if (s.commitIndex >= dep) { readyCount++;', replace: 'if (dep >= 0) { readyCount++;' }],
    seeds: 50,
  },
  {
    name: 'commit-wait-off-by-one',
    rule: '4 (c)',
    file: 'replica/dist/core/reads.js',
    edits: [
      { find: 'const dep = Math.max(1 + version, atLeast);', replace: 'const dep = Math.max(version, atLeast);' },
    ],
    seeds: 50,
  },
  {
    name: 'last-committed-reads',
    rule: '4 (b)',
    file: 'replica/dist/core/reads.js',
    edits: [
      {
        find: 'const dep = Math.max(1 + version, atLeast);',
        replace: `let dep = Math.max(1 + version, atLeast);
          const query = Array.from(m.ops.buffer.subarray(start, at)).join();
          const last = (this.lastCommitted ??= new Map());
          if (s.commitIndex >= dep) last.set(query, ready.buffer.slice(head + 8, ready.length));
          else {
            const old = last.get(query) ?? Uint8Array.of(0);
            ready.length = head + 8;
            ready.raw(old);
            writeU32(ready.buffer, head + 4, old.length);
            dep = 0;
          }`,
      },
    ],
    seeds: 100,
  },
  {
    name: 'start-not-committed-by-activation',
    rule: 'C2',
    file: 'replica/dist/core/membership.js',
    edits: [{ find: 's.commitIndex = Math.max(s.commitIndex, configuration.start);', replace: '' }],
    seeds: 50,
  },
  {
    name: 'ping-in-an-epoch-that-never-ran',
    rule: '4 (ping)',
    file: 'replica/dist/core/ping.js',
    edits: [
      {
        find: 'const ok = m.epoch === s.meta.epoch && s.activated && !s.sealed && !s.reloading;',
        replace: 'const ok = m.epoch === s.meta.epoch && !s.sealed && !s.reloading;',
      },
      { find: 'if (!s.running) return this.#end', replace: 'if (s.sealed || s.reloading) return this.#end' },
      { find: 'm.epoch !== s.meta.epoch || !s.isMember(from)', replace: 'm.epoch !== s.meta.epoch' },
      {
        file: 'replica/dist/core/reads.js',
        find: 'if (!s.activated || !this.#stillChosen())',
        replace: 'if (!this.#stillChosen())',
      },
      {
        file: 'replica/dist/core/install.js',
        find: 's.members = [];',
        replace: 's.members = m.members.map((x) => x.id);',
      },
    ],
    seeds: 30,
    story: 'island-in-an-epoch-that-never-ran',
  },
  {
    name: 'lwm-only-delta',
    rule: 'D3',
    file: 'replica/dist/core/lineage/plan-delta.js',
    edits: [
      {
        find: 'let d = Math.min(source.next, target.next); while (d > 0) {',
        replace: 'let d = Math.min(source.next, target.next); if (d > 0) return d; while (d > 0) {',
      },
    ],
    seeds: 400,
    plan: { snapshotEveryBytes: 40_000, minLogBytesKept: 64_000 },
    faults: ['crashPrimary', 'crashAllReplicas', 'crashReplica', 'isolatePrimary', 'reconfigure', 'slowDisk'],
  },
]
