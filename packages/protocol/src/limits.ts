// Every bound of the system in one place, with the relations between them asserted (PROTOCOL 4–7).

const KiB = 1024
const MiB = 1024 * KiB

/** Version of the wire protocol; a hello with another one is refused. */
export const PROTOCOL_VERSION = 3

/** Members of a configuration at the most. */
export const MAX_MEMBERS = 15
/** Characters of the name of a zone. */
export const MAX_ZONE_CHARS = 64

/** Largest key of the key-value store, in bytes. */
export const MAX_KEY_BYTES = KiB
/** Largest value of the key-value store, in bytes. */
export const MAX_VALUE_BYTES = 16 * MiB
/** Longest ttl of a key, a session or an idempotency key, ms: ten years. */
export const MAX_TTL_MS = 10 * 365 * 24 * 3_600_000
/** Sessions of a store at one time. */
export const MAX_SESSIONS = 100_000
/** Keys bound to one session: they end together, in one entry. */
export const MAX_SESSION_KEYS = 4_096
/** Sessions that one operation keeps alive. */
export const MAX_KEPT_ALIVE = 1_024
/** Bytes of a session's name. */
export const MAX_SESSION_NAME_BYTES = 128
/** Bytes of an idempotency key. */
export const MAX_IDEMPOTENCY_KEY_BYTES = 128
/** Idempotency keys that a store remembers at one time, and the bytes of these and their answers. */
export const MAX_IDEMPOTENCY_KEYS = 1_000_000
/** Bytes of the keys and answers that a store remembers at one time. */
export const MAX_IDEMPOTENCY_BYTES = 256 * MiB
/** Largest encoded operation or query: one value, one expected value, one key and their headers. */
export const MAX_OPERATION_BYTES = 2 * MAX_VALUE_BYTES + 64 * KiB
/** Largest message a connection assembles from its fragments. */
export const MAX_MESSAGE_BYTES = MAX_OPERATION_BYTES + 64 * KiB
/** A message above this is cut into fragments of this size, sent between other messages (rule R6). */
export const FRAGMENT_BYTES = 128 * KiB
/** Largest WebSocket frame a receiver accepts: one fragment or one whole small message, with headers. */
export const MAX_FRAME_BYTES = FRAGMENT_BYTES + KiB
/** Bytes a connection may have queued towards its socket before bulk fragments wait. */
export const BULK_WINDOW_BYTES = 4 * FRAGMENT_BYTES
/** Bytes of messages one connection may hold back before it is closed as too slow. */
export const MAX_SEND_QUEUE_BYTES = 256 * MiB

/** Bytes of a large operation that a working link or disk takes in a millisecond at the least: what it may take longer than a small one. */
export const SLOWEST_BYTES_PER_MS = (4 * MiB) / 1_000

/** Bytes of a snapshot that a replica rebuilds its state from in a millisecond at the least; it says nothing meanwhile. */
export const LOADED_BYTES_PER_MS = (16 * MiB) / 1_000

/** Operations a primary keeps in flight (admitted, not yet committed) before it refuses more as overloaded. */
export const MAX_UNCOMMITTED_OPERATIONS = 65_536
/** Bytes of the same; an operation larger than this goes alone. */
export const MAX_UNCOMMITTED_BYTES = 64 * MiB
/** A record is closed when its operations reach this many bytes; a larger operation makes a record of its own. */
export const MAX_RECORD_BYTES = MiB
/** Entries in one record at the most. */
export const MAX_RECORD_ENTRIES = 8_192
/** Bytes of records a backup buffers out of order; what is above is dropped and resent. */
export const MAX_OUT_OF_ORDER_BYTES = 128 * MiB
/** Operations above the end of its log that a backup takes: all that a primary may have under way, and the record that passes the bound. */
export const MAX_OUT_OF_ORDER_OPERATIONS = MAX_UNCOMMITTED_OPERATIONS + MAX_RECORD_ENTRIES

/** Window of a clerk: a requestId ≥ firstIncomplete + W is refused. */
export const CLERK_WINDOW = 4_096
/** Replies above this size are not stored for de-duplication (PROTOCOL 6). */
export const MAX_STORED_REPLY_BYTES = 64 * KiB
/** Requests one frame of a clerk may carry. */
export const MAX_RUN_REQUESTS = 1_024
/** Operations above this size travel on the clerk's bulk session, so that they delay no small one. */
export const BULK_OPERATION_BYTES = 64 * KiB

/** Bytes of one piece of a snapshot, at the most, unless one value makes it longer. */
export const CHUNK_BYTES = 256 * KiB
/** Bytes of one piece of log that is shipped: one at a time is under way, so it must be worth the way to and fro. */
export const LOG_PIECE_BYTES = MiB
/** Bytes of a snapshot that a target has asked for and not received: enough for a link on which each answer takes its time (R6). */
export const TRANSFER_WINDOW_BYTES = 4 * MiB
/** Bytes of a snapshot on their way to the target's disk above which no more are asked for: what one commit holds up the log for. */
export const TRANSFER_WRITING_BYTES = 2 * MiB
/** Log bytes kept behind the newest snapshot for members that return. */
export const MIN_LOG_BYTES_KEPT = 64 * MiB
/** Log bytes after which a new snapshot is begun. */
export const SNAPSHOT_EVERY_BYTES = 128 * MiB
/** Free bytes on the data directory's disk below which a replica refuses new operations. */
export const FREE_DISK_WATERMARK_BYTES = 256 * MiB

/** Admin results the configuration remembers, so that a repeated request gets its answer again. */
export const MAX_ADMIN_RESULTS = 64
/** Reads a replica holds while it waits for their commit. */
export const MAX_WAITING_READ_BYTES = 64 * MiB
/** Number of the same. */
export const MAX_WAITING_READS = 65_536
/** Bytes of one page of a range answer. */
export const MAX_PAGE_BYTES = MiB

/** Bytes of memory for the newest changes, kept for those who watch; the same at all replicas, for it is part of their state. */
export const CHANGE_LOG_BYTES = 40 * MiB
/** Bytes of one chunk of it. A change above FRAGMENT_BYTES has a chunk of its own. */
export const CHANGE_CHUNK_BYTES = 256 * KiB
/** Largest topic of a change. */
export const MAX_TOPIC_BYTES = 4 * KiB
/** Watches of one connection. */
export const MAX_WATCHES_PER_CONNECTION = 10_000
/** Watches of all connections of a replica. */
export const MAX_WATCHES = 100_000
/** Bytes a watcher lets be under way to it before it has consumed any; one larger change goes alone. */
export const WATCH_WINDOW_BYTES = MiB
/** Largest window that a replica grants. */
export const MAX_WATCH_WINDOW_BYTES = 16 * MiB
/** Changes to one watcher are sent in messages of about this size. */
export const WATCH_BATCH_BYTES = 64 * KiB
/** Consumed bytes are told to the replica in portions of at most this. */
export const WATCH_CREDIT_BYTES = 32 * KiB
/** Bytes under way to all watchers of a replica; above, each has no more than one portion of credit and a message under way. */
export const MAX_WATCH_BYTES_UNDER_WAY = 64 * MiB

/** Throws when two bounds contradict each other; called once at load, so that a wrong edit cannot run. */
function assertRelations(): void {
  const holds: [string, boolean][] = [
    ['a window admits at least 1,024 requests', CLERK_WINDOW >= 1_024],
    ['a run fits into the window', MAX_RUN_REQUESTS <= CLERK_WINDOW],
    ['a fragment fits into a frame', FRAGMENT_BYTES < MAX_FRAME_BYTES],
    ['an operation fits into a message', MAX_OPERATION_BYTES < MAX_MESSAGE_BYTES],
    ['a chunk fits into a message', CHUNK_BYTES < MAX_MESSAGE_BYTES],
    ['a piece of log fits into a message, whatever record ends it', LOG_PIECE_BYTES < MAX_MESSAGE_BYTES],
    ['a transfer keeps its link busy', TRANSFER_WINDOW_BYTES >= 4 * CHUNK_BYTES],
    ['what is asked for may wait for the disk', TRANSFER_WRITING_BYTES <= TRANSFER_WINDOW_BYTES],
    ['a record fits into the uncommitted window', MAX_RECORD_BYTES <= MAX_UNCOMMITTED_BYTES],
    ['a key is a topic', MAX_KEY_BYTES <= MAX_TOPIC_BYTES],
    [
      'the change log keeps what the largest entry changes',
      CHANGE_LOG_BYTES > MAX_OPERATION_BYTES + CHANGE_CHUNK_BYTES,
    ],
    ['a portion of credit is a part of the window', WATCH_CREDIT_BYTES * 4 <= WATCH_WINDOW_BYTES],
    ['a chunk of changes holds any small one', FRAGMENT_BYTES < CHANGE_CHUNK_BYTES],
    ['the out-of-order buffer holds a full window', MAX_OUT_OF_ORDER_BYTES >= MAX_UNCOMMITTED_BYTES],
  ]
  for (const [what, ok] of holds) if (!ok) throw new Error(`limits: ${what} does not hold`)
}
assertRelations()
