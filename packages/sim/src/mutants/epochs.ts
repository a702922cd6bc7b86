// Mutants of epochs, leases and reconfiguration (PROTOCOL 2, 3).
import type { Mutant } from './mutant.js'

export const EPOCH_MUTANTS: readonly Mutant[] = [
  {
    name: 'grant-without-confirm',
    rule: 'L2',
    file: 'configsvc/dist/core/controller.js',
    edits: [{ find: 'this.host.afterRound(grant);', replace: 'grant();' }],
    seeds: 60,
    story: 'leaseholder-served-by-a-deposed-leader',
  },
  {
    name: 'no-wait-after-election',
    rule: 'L4',
    file: 'configsvc/dist/core/leases.js',
    edits: [{ find: 'const byOthers = this.electedAt + params.leaseMs;', replace: 'const byOthers = -Infinity;' }],
    seeds: 60,
    story: 'leaseholder-cut-off-while-an-operator-moves-on',
  },
  {
    name: 'activation-abandoned',
    rule: '2.6',
    file: 'configsvc/dist/core/controller.js',
    edits: [
      {
        find: 'onTick() {',
        replace: `onTick() {
          const run = this.running;
          if (run?.stage === 'activate') {
            run.activatingSince ??= this.host.now;
            if (this.host.now - run.activatingSince > 40) {
              this.retryAt = this.host.now + 5_000;
              return this.finish(run, { kind: 'abandoned', reason: 'too slow', failed: [], overtaken: false });
            }
          }`,
      },
    ],
    seeds: 60,
    story: 'leaseholder-returns-while-the-activation-hangs',
  },
  {
    name: 'enter-repeated',
    rule: '2.4',
    file: 'replica/dist/core/install.js',
    edits: [{ find: 'if (m.epoch === epoch) {', replace: 'if (m.epoch === epoch && m.epoch < 0) {' }],
    seeds: 200,
    faults: ['duplication', 'slowNetwork', 'reconfigure', 'crashPrimary'],
    plan: { fifo: false, latencyMs: 2.5, faultEveryMs: 350 },
  },
  {
    name: 'seal-not-durable',
    rule: '2.3',
    file: 'replica/dist/core/seal.js',
    edits: [
      {
        find: 'const frozen = s.log.nextIndex; s.disk.whenDurable(() => {',
        replace: 'const frozen = s.log.nextIndex; [0].forEach(() => {',
      },
    ],
    seeds: 20,
  },
  {
    name: 'primary-resumes-its-epoch',
    rule: '2.7',
    file: 'replica/dist/core/primary.js',
    edits: [{ find: 'if (s.meta.claim === epoch) return;', replace: '' }],
    seeds: 100,
    story: 'primary-restarts-fast',
  },
  {
    name: 'amnesia-as-source',
    rule: '2.3',
    file: 'configsvc/dist/core/attempt/seal.js',
    edits: [
      { find: 'if (a.ownEpoch < prev.epoch) return false;', replace: '' },
      { find: 'if (a.nextIndex < env.detector.leastNext(prev.epoch, id)) return false;', replace: '' },
      { file: 'replica/dist/core/seal.js', find: 'if (epoch < m.prev)', replace: 'if (epoch < 0)' },
    ],
    seeds: 40,
    story: 'store-restored-from-an-old-copy',
  },
  {
    name: 'two-checkpoints-per-epoch',
    rule: '2.1',
    file: 'configsvc/dist/core/attempt/reconfigure.js',
    edits: [{ find: 'reservedEpoch: s.reservedEpoch + 1', replace: 'reservedEpoch: s.epoch + 1' }],
    seeds: 300,
    faults: ['killControllerInAttempt', 'crashMemberInAttempt', 'isolatePrimary', 'partitionTwoWay', 'reconfigure'],
  },
]
