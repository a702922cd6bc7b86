// The identifiers of the system (PROTOCOL 0). Indexes are exclusive ends where they name a prefix ("all below").

/** Name of one cluster, chosen when it is first formed. A message of another cluster is refused. */
export type ClusterId = string
/** Name of one replicated state machine inside a cluster; the default group is `main`. */
export type GroupName = string
/** Name of one server process, chosen by its operator: 1–64 of `[a-z0-9._-]`. */
export type NodeId = string
/** Random identity of one formatted store. A server id with another storeId is another server (amnesia). */
export type StoreId = string
/** Number of a configuration. Epoch 0 never runs; 1 is the first. */
export type Epoch = number
/** Position of an entry in the log. Index 0 is the genesis entry, so a version of 0 means "never written". */
export type Index = number
/** Index of the Register entry that made the clerk. */
export type ClerkId = number
/** Per-clerk number of a request, from 1, without gaps. */
export type RequestId = number
/** Milliseconds of one process's monotonic clock. Two processes' values are never compared. */
export type Millis = number

/** The group of whoever names none. */
export const DEFAULT_GROUP: GroupName = 'main'

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** Whether `name` may be a NodeId or GroupName. */
export function isName(name: string): boolean {
  return NAME.test(name)
}
