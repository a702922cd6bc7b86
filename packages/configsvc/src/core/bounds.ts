// Pauses and bounds of the config core that are no parameter of a group.

/** SEAL, ENTER and RELINQUISH are said again after this long without an answer, ms. */
export const REPEAT_MS = 50
/** What the largest record may take to arrive at a target that writes wait for: 32 MiB at 16 MiB/s, ms. */
export const LARGEST_RECORD_MS = 2_000
/** `learn` is said again after this long; its answers tell the progress, ms. */
export const LEARN_REPEAT_MS = 100
/** A learner that has within this time what was committed at its beginning is near enough: some repetitions and the age of a report, ms. */
export const SHORT_ROUND_MS = 300
/** Rounds in a row that are no shorter than one before: the learner comes no nearer. */
export const LONGER_ROUNDS = 3
/** Such a learner joins if its rounds take this many T_fail at the most. */
export const LONGEST_ROUND_FACTOR = 3
/** A target that the group cannot do without (minReplicas) may install for this long without visible progress, ms. */
export const INSTALL_PATIENCE_MS = 30_000
/** A learner that makes no progress for so long has failed, ms. */
export const LEARN_PATIENCE_MS = 15_000
/** A learner is given up after this many T_fail of silence: nothing is stopped meanwhile, and installing a snapshot may stall it. */
export const LEARNER_SILENCE_FACTOR = 10
/** What an epoch cost waits so long for another value of the register to go with, ms: longer than what waited needs to be admitted. */
export const MEASURED_AFTER_MS = 100
/** First and longest pause between attempts that fail one after the other, ms. */
export const RETRY_MIN_MS = 50
export const RETRY_MAX_MS = 2_000
/** First and longest time a server stays out of automatic changes after it was replaced for trouble or failed to join, ms. */
export const DISTRUST_MIN_MS = 1_000
export const DISTRUST_MAX_MS = 30_000
/** A member that went down in order is waited for so long before another takes its place, ms: some starts of a process. */
export const RETURN_MS = 10_000
/** How often an operator's request is taken up again after a failover overtook it. */
export const OPERATOR_TRIES = 5
/** A zone gets the primary when it has so many times the writes of the primary's own zone, in each of so many equal parts of the window, … */
export const AFFINITY_FACTOR = 2
export const AFFINITY_PARTS = 3
/** … and at least so many in each: fewer say nothing about where the load is. */
export const AFFINITY_LEAST_WRITES = 3
/** Servers one group may have registered, groups one cluster may have, operator requests that may wait in one group. */
export const MAX_SERVERS = 64
export const MAX_GROUPS = 256
export const MAX_WAITING_ADMINS = 64
/** Lines of `coppice epochs` kept in the register. */
export const MAX_HISTORY = 64
/** Upper bound of what slow fsyncs may add to the election timeout, in timeouts. */
export const MAX_TIMEOUT_FACTOR = 4
/** A server that is to become a config server has so long to answer and to take over what is chosen, ms. */
export const JOIN_PATIENCE_MS = 5_000
/** A leader that goes down lets an attempt that runs end first, and looks for a server that can lead, for so long at the most, ms. */
export const LEAVE_ATTEMPT_MS = 500
/** How often a leader tells registered servers that it does not hear who leads, ms. */
export const CALL_SILENT_MS = 1_000
/** Config servers at the most, the one that is being replaced included. */
export const MAX_CONFIG_SERVERS = 8
/** Former ids of config servers that are remembered, so that none is used again. */
export const MAX_FORMER_CONFIG_SERVERS = 1_000
