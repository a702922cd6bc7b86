// What a run exercised, so that a simulator that has gone blind is noticed: over a few hundred seeds every one of these must occur.
import type { Cluster } from './cluster.js'

/** Things that must happen in every larger set of seeds; the fuzz tests and the command check it. */
export const EXPECTED_COVERAGE = [
  'epochs',
  'failovers',
  'leaderElections',
  'abandonedAttempts',
  'fullCheckpoints',
  'deltas',
  'snapshots',
  'logCuts',
  'leaselessReads',
  'logReads',
  'duplicatesAnswered',
  'skips',
  'sessionsExpired',
  'operatorChanges',
  'drains',
  'undoneDrains',
  'leaves',
  'affinityHandovers',
  'lostMessages',
  'duplicatedMessages',
  'wipes',
  'unknownOutcomes',
  'configServerChanges',
  'configServerWipes',
  'hashComparisons',
  'bankTransfers',
  'tellerDeaths',
  'guardedWrites',
  'fencedWrites',
  'lockGrants',
  'leftPlaces',
  'cacheHits',
  'txnMoves',
  'txnRefusals',
  'watchedChanges',
  'watchResumptions',
  'watchCompactions',
  'ticks',
  'expiredKeys',
  'endedSessions',
  'repeatedOnce',
  'lastingTxns',
  'repeatedTxns',
  'verifiedStates',
] as const
/** A situation that many seeds together must come to. */
export type CoverageName = (typeof EXPECTED_COVERAGE)[number]
/** How often a run came to each of these situations. */
export type Coverage = Readonly<Record<CoverageName, number>>

export function coverageOf(cluster: Cluster): Coverage {
  const { events, network, oracle, workload } = cluster
  const event = (name: string): number => events.get(name) ?? 0
  const activations = [...oracle.registers.activations.values()]
  let unknown = 0
  for (const [name, times] of workload?.outcomes ?? []) if (name.endsWith(':unknown')) unknown += times
  const causes = activations.map((a) => a.history.find((h) => h.epoch === a.epoch)?.cause)
  return {
    epochs: activations.length,
    failovers: causes.filter((c) => c === 'failover').length,
    leaderElections: event('leaderElected'),
    abandonedAttempts: event('attemptAbandoned'),
    fullCheckpoints: event('transferDone:full'),
    deltas: event('transferDone:delta'),
    snapshots: event('snapshotCommitted'),
    logCuts: event('logCut'),
    leaselessReads: network.sent.get('ping') ?? 0,
    logReads: oracle.ledger.barriers,
    duplicatesAnswered: oracle.repeatedReplies,
    skips: oracle.ledger.skips,
    sessionsExpired: oracle.ledger.removals,
    operatorChanges: causes.filter((c) => c === 'operator').length,
    drains: oracle.drains,
    undoneDrains: oracle.undoneDrains,
    leaves: causes.filter((c) => c === 'leave').length,
    affinityHandovers: causes.filter((c) => c === 'affinity').length,
    lostMessages: network.lost,
    duplicatedMessages: network.duplicated,
    wipes: [...oracle.stores.values()].filter((s) => s.destroyed).length,
    unknownOutcomes: unknown,
    configServerChanges: oracle.registers.changes,
    configServerWipes: cluster.configWipes,
    hashComparisons: oracle.hashComparisons,
    bankTransfers: workload?.bank.transfers ?? 0,
    tellerDeaths: workload?.bank.deaths ?? 0,
    guardedWrites: workload?.locks.raised ?? 0,
    fencedWrites: workload?.locks.fenced ?? 0,
    lockGrants: workload?.locks.grants ?? 0,
    leftPlaces: workload?.locks.lefts ?? 0,
    cacheHits: workload?.caches.hits ?? 0,
    txnMoves: workload?.txns.moves ?? 0,
    txnRefusals: workload?.txns.refusals ?? 0,
    watchedChanges: workload?.watches.changes ?? 0,
    watchResumptions: workload?.watches.resumptions ?? 0,
    watchCompactions: workload?.watches.compactions ?? 0,
    ticks: oracle.ledger.ticks,
    expiredKeys: workload?.endings.expired ?? 0,
    endedSessions: workload?.endings.ended ?? 0,
    repeatedOnce: workload?.endings.repeated ?? 0,
    lastingTxns: workload?.endings.lastingTxns ?? 0,
    repeatedTxns: workload?.endings.repeatedTxns ?? 0,
    verifiedStates: workload?.verifiers.compared ?? 0,
  }
}
