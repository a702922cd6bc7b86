// Where replicas and clients of a run with zones stand, and how soon the primary follows its writers in runs of some seconds.
import type { Affinity } from '@coppice/protocol'

/** Of replicas and clients, one after the other. */
export const ZONES = ['east', 'west', 'north'] as const
/** Affinity for runs of some seconds. */
export const QUICK_AFFINITY: Affinity = { mode: 'auto', windowMs: 900, pauseMs: 1_500, operatorMs: 3_000 }
