// Mutants of planned changes (PROTOCOL 2, last paragraph).
import type { Mutant } from './mutant.js'

const CORE = 'replica/dist/core'

export const DRAIN_MUTANTS: readonly Mutant[] = [
  {
    // It says that its epoch ends here, and takes more.
    name: 'drained primary admits',
    rule: 'PROTOCOL 2',
    edits: [
      {
        file: `${CORE}/primary.js`,
        find: 'this.#s.leading && this.#s.running && !this.#s.draining;',
        replace: 'this.#s.leading && this.#s.running;',
      },
      {
        file: `${CORE}/seal.js`,
        find: `this.promise(epoch);
        this.#answer(to, epoch, '');`,
        replace: `const { meta } = this.#s;
        this.#s.meta = { ...meta, sealedFor: epoch };
        this.#answer(to, epoch, '');
        this.#s.meta = meta;`,
      },
    ],
    story: 'handed-over-under-load',
    seeds: 3,
  },
  {
    name: 'drained before all is committed',
    rule: 'PROTOCOL 2',
    edits: [
      {
        file: `${CORE}/drain.js`,
        find: 's.leading && s.commitIndex === s.log.nextIndex',
        replace: 's.leading',
      },
    ],
    story: 'handed-over-under-load',
    seeds: 3,
  },
  {
    // Its drain ends and it leads on, whatever it promised meanwhile.
    name: 'sealed primary admits again',
    rule: 'PROTOCOL 2.3',
    edits: [
      {
        file: `${CORE}/drain.js`,
        find: 'return s.now >= drain.until && !this.#namesOnly;',
        replace: `if (s.now < drain.until) return false;
        if (s.sealed && s.primary === s.options.id) {
            s.meta = { ...s.meta, sealedFor: s.meta.epoch };
            s.leading = true;
            this.#replication.begin(s.log.nextIndex);
        }
        return true;`,
      },
      {
        file: `${CORE}/drain.js`,
        find: 'return drain === undefined || this.#namesOnly ? Infinity : drain.until;',
        replace: 'return drain === undefined ? Infinity : drain.until;',
      },
    ],
    story: 'drained-and-sealed-and-asked-again',
    seeds: 3,
  },
  {
    // It answered before its seal was durable, and forgets it: only its claim is left. Nor does it tell that it cannot lead.
    name: 'drained primary resumes its epoch',
    rule: 'PROTOCOL 2.7',
    edits: [
      { file: `${CORE}/primary.js`, find: 'if (s.recovered.meta.claim === epoch)', replace: 'if (false)' },
      { file: `${CORE}/report.js`, find: 's.recovered.meta.claim === meta.epoch', replace: 'false' },
    ],
    story: 'drained-and-restarted-and-asked-again',
    seeds: 3,
  },
]
