// Mutants of the config service (PROTOCOL 1–3).
import type { Mutant } from './mutant.js'

const CORE = 'configsvc/dist/core'

export const CONFIG_MUTANTS: readonly Mutant[] = [
  {
    name: 'grant without confirm',
    rule: 'L2, P4',
    edits: [{ file: `${CORE}/controller.js`, find: 'this.host.afterRound(grant);', replace: 'grant();' }],
    story: 'deposed-leader-is-asked-for-leases',
    seeds: 3,
  },
  {
    name: 'no wait after election',
    rule: 'L4',
    edits: [
      {
        file: `${CORE}/leases.js`,
        find: 'const byOthers = this.electedAt + params.leaseMs;',
        replace: 'const byOthers = -Infinity;',
      },
    ],
    story: 'new-leader-is-asked-at-once',
    seeds: 3,
  },
  {
    name: 'no wait for the own grants',
    rule: 'L4',
    edits: [
      {
        file: `${CORE}/leases.js`,
        find: 'granted === undefined ? -Infinity : granted + params.leaseMs;',
        replace: '-Infinity;',
      },
    ],
    story: 'member-is-cut-off-and-left-out',
    seeds: 3,
  },
  {
    // The attempt gives up waiting for its activation to be chosen, while the proposal is still on its way.
    name: 'activation abandoned',
    rule: 'PROTOCOL 2.6',
    edits: [
      {
        file: `${CORE}/controller.js`,
        find: "this.update(wait.mutate, (value) => this.resume({ kind: 'chosen', value }));",
        replace: `if (running.stage === 'activate') running.abandonAt = this.host.now + 150;
        this.host.update(wait.mutate, (value) => {
            if (this.running === running) this.resume({ kind: 'chosen', value });
        });`,
      },
      {
        file: `${CORE}/controller.js`,
        find: 'const until = this.running?.until;',
        replace: `if (this.running?.abandonAt <= this.host.now)
            return this.finish(this.running, { kind: 'abandoned', reason: 'not chosen', failed: [], overtaken: false });
        const until = this.running?.until;`,
      },
    ],
    story: 'activation-on-its-way',
    seeds: 3,
  },
  {
    // A retry takes the number again that an attempt before it had reserved.
    name: 'two checkpoints per epoch',
    rule: 'PROTOCOL 2.1',
    edits: [
      {
        file: `${CORE}/attempt/reconfigure.js`,
        find: 'reservedEpoch: s.reservedEpoch + 1 }',
        replace: 'reservedEpoch: s.epoch + 1 }',
      },
    ],
    story: 'controller-dies-between-two-enters',
    seeds: 3,
  },
  {
    // Neither the member nor the controller minds that it does not remember the epoch it was a member of.
    name: 'amnesia as source',
    rule: 'PROTOCOL 2.3',
    edits: [
      { file: 'replica/dist/core/seal.js', find: 'if (epoch < m.prev)', replace: 'if (false)' },
      { file: `${CORE}/attempt/seal.js`, find: 'if (a.ownEpoch < prev.epoch)', replace: 'if (false)' },
    ],
    story: 'member-comes-back-from-an-old-image',
    seeds: 3,
  },
  {
    // What the promises told is taken for chosen, so that the config servers change before a majority of them accepted it in this ballot.
    name: 'config servers change before the recommit',
    rule: 'P3, P6',
    edits: [
      {
        file: `${CORE}/leadership.js`,
        find: 'this.proposerByGroup.set(first.group, proposer);',
        replace: `this.proposerByGroup.set(first.group, proposer);
        proposer.inFlight = undefined;
        proposer.chosen = first;
        proposer.holders = new Set(electorate.servers.map((s) => s.storeId));
        this.maybeAddController(first.group);`,
      },
    ],
    story: 'next-leader-changes-servers-at-once',
    seeds: 3,
  },
  {
    // Another store under a known name counts, though it remembers no promise.
    name: 'empty store votes under its old id',
    rule: 'P6',
    edits: [
      {
        file: `${CORE}/formation.js`,
        find: 's.id === sender.id && (!voters.formed || s.storeId === sender.storeId)',
        replace: 's.id === sender.id',
      },
    ],
    story: 'lost-store-is-asked-for-its-vote',
    seeds: 3,
  },
  {
    // The new server comes and the old one goes in one value: old and new majorities need not meet.
    name: 'two config servers changed at once',
    rule: 'P6',
    edits: [
      {
        file: `${CORE}/config-server-changes.js`,
        find: 'changed(this.main, entry, null)',
        replace: 'changed(this.main, entry, p.change.remove)',
      },
    ],
    story: 'server-takes-the-place-of-another',
    seeds: 1,
  },
  {
    // It is added as soon as it answers, and its vote weighs as much as that of a server that remembers.
    name: 'added before it holds what is chosen',
    rule: 'P6',
    edits: [{ file: `${CORE}/config-server-changes.js`, find: '!holdsAll || ', replace: '' }],
    story: 'values-reach-the-new-server-late',
    seeds: 1,
  },
]
