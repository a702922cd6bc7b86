// The fixed list of things a server reports about itself (PRODUCT, observability). Never a key or a value among the fields.

/** Every event that a server logs. */
export const EVENT_NAMES = [
  // any server
  'started',
  'stopping',
  'linkRefused',
  'loopStalled',
  // config server
  'formed',
  'leaderElected',
  'leadHandedOver',
  'steppedDown',
  'memberSuspected',
  'attemptBegun',
  'attemptStep',
  'attemptAbandoned',
  'attemptActivated',
  'epochMeasured',
  'serverRegistered',
  'adminAnswered',
  'configServersChanged',
  'tooFewServers',
  // replica
  'recovered',
  'draining',
  'drainEnded',
  'sealed',
  'entered',
  'activated',
  'primaryClaimed',
  'leaseLost',
  'transferBegun',
  'transferDone',
  'transferResumed',
  'transferRefused',
  'snapshotBegun',
  'snapshotCommitted',
  'snapshotDiscarded',
  'logCut',
  'clerkExpired',
  'diskLow',
  'leaving',
  'dataLossSuspected',
] as const
/** One of them. */
export type EventName = (typeof EVENT_NAMES)[number]
