// The fixed list of things a server reports about itself (PRODUCT, observability). Never a key or a value among the fields.

export const EVENT_NAMES = [
  // any server
  'started',
  'stopping',
  'linkRefused',
  'loopStalled',
  // config server
  'formed',
  'leaderElected',
  'steppedDown',
  'memberSuspected',
  'attemptBegun',
  'attemptStep',
  'attemptAbandoned',
  'attemptActivated',
  'epochMeasured',
  'serverRegistered',
  'adminAnswered',
  'tooFewServers',
  // replica
  'recovered',
  'sealed',
  'entered',
  'activated',
  'primaryClaimed',
  'leaseLost',
  'transferBegun',
  'transferDone',
  'transferRefused',
  'snapshotBegun',
  'snapshotCommitted',
  'snapshotDiscarded',
  'logCut',
  'clerkExpired',
  'diskLow',
  'dataLossSuspected',
] as const
export type EventName = (typeof EVENT_NAMES)[number]
