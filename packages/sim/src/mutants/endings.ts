// Mutants of what ends by the log's time (PROTOCOL 6, expiry by log position; the sessions and idempotency keys of vKV).
import type { Mutant } from './mutant.js'

export const ENDING_MUTANTS: readonly Mutant[] = [
  {
    // Nobody logs it: each replica looks at its clock.
    name: "ends by the replica's own clock",
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: 'replica/dist/core/machine-time.js',
        find: 'if (!s.leading || !s.running || s.draining)',
        replace: 'if (!s.running || s.draining)',
      },
      {
        file: 'replica/dist/core/machine-time.js',
        find: 'this.#log.machineTick();',
        replace: `const s = this.#s;
        if (s.leading) this.#log.machineTick();
        else s.applier.tick(s.log.nextIndex - 1, this.#log.elapsed());`,
      },
    ],
    story: 'keys-end-in-their-tick',
    seeds: 2,
  },
  {
    name: 'tick that forgets to publish',
    rule: 'PRODUCT watch',
    edits: [
      {
        file: 'vkv/dist/core/endings.js',
        find: 'changes.change(STREAM_KEYS, CHANGE_EXPIRE, key, start, end, EMPTY_BYTES, 0, 0);',
        replace: '',
      },
    ],
    story: 'keys-end-in-their-tick',
    seeds: 2,
  },
  {
    name: 'operations before the tick that is due',
    rule: 'PRODUCT ttl',
    edits: [{ file: 'replica/dist/core/primary.js', find: 'this.machineTime.beforeOperations();', replace: '' }],
    story: 'primary-stands-still-past-a-ttl',
    seeds: 2,
  },
  {
    name: 'agenda skips one',
    rule: 'PRODUCT ttl',
    edits: [
      {
        file: 'vkv/dist/core/agenda.js',
        find: 'if (this.dueAt > now)',
        replace: 'if (this.dueAt > now || (this.skips = !this.skips) === false)',
      },
    ],
    story: 'primary-stands-still-past-a-ttl',
    seeds: 2,
  },
  {
    name: 'write keeps the ttl it found',
    rule: 'PRODUCT ttl',
    edits: [
      {
        file: 'vkv/dist/core/kv-machine.js',
        find: 'if (ttlMs !== 0 || session !== 0 || this.#lifetimes.table.count > 0) {',
        replace: 'if (ttlMs !== 0 || session !== 0) {',
      },
    ],
    story: 'keys-end-in-their-tick',
    seeds: 2,
  },
  {
    name: 'time of an older record',
    rule: 'PROTOCOL 6',
    edits: [
      {
        file: 'replica/dist/core/primary.js',
        find: 'late = stale && s.rules.readsTime?.(buffer, at + 4, next) === true;',
        replace: 'late = false;',
      },
    ],
    story: 'ttl-in-a-record-begun-earlier',
    seeds: 2,
  },
  {
    name: 'keep-alive that does not extend',
    rule: 'PRODUCT sessions',
    edits: [
      {
        file: 'vkv/dist/core/session-table.js',
        find: 'const expiry = Math.max(before, endOf(now, readU53(w.buffer, 8)));',
        replace: 'const expiry = before;',
      },
    ],
    story: 'session-outlives-its-ttl-and-a-primary',
    seeds: 2,
  },
  {
    name: 'session ends without its keys',
    rule: 'PRODUCT sessions',
    edits: [
      {
        file: 'vkv/dist/core/endings.js',
        find: 'endKey(state, index, name, 1, name.length, changes);',
        replace: 'state.lifetimes.remove(index, name, 1, name.length);',
      },
    ],
    story: 'session-outlives-its-ttl-and-a-primary',
    seeds: 2,
  },
  {
    // The signal comes too late: the store has counted from the arrival.
    name: 'session believed from the answer on',
    rule: 'PRODUCT sessions',
    edits: [
      {
        file: 'vkv/dist/client/sessions.js',
        find: 'kept.session.kept(sentAt);',
        replace: 'kept.session.kept(this.#clerk.clock.now());',
      },
    ],
    story: 'answer-of-a-keep-alive-comes-late',
    seeds: 2,
  },
  {
    name: 'repeated write is done again',
    rule: 'PRODUCT idempotencyKey',
    edits: [
      {
        file: 'vkv/dist/core/kv-machine.js',
        find: 'return once.writeReply(out);',
        replace: 'return this.#write(index, b, out, changes);',
      },
    ],
    story: 'repeated-under-its-idempotency-key',
    seeds: 2,
  },
]
