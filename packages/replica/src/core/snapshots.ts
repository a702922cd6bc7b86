// Snapshots (PROTOCOL 5, 7): machine, exactly-once table, change log and log time as of n = nextIndex, written piece by piece while entries go on
// being applied; usable only once commitIndex ≥ n in the same epoch, so that no snapshot holds what may be discarded.
import { CHUNK_BYTES, DecodeError, Reader, Writer } from '@coppice/protocol'
import type { Index, Lineage, Millis } from '@coppice/protocol'
import { CapturePace } from './capture-pace.js'
import type { ChangeCapture, ChangeLoader, ChangeLog } from './change-log.js'
import type { TableCapture } from './exactly-once.js'
import type { DiskWrite } from './io.js'
import { lineageBelow } from './lineage/edit.js'
import type { Replication } from './replication.js'
import type { Shared } from './shared.js'
import { SpareBytes } from './spare-bytes.js'
import type { StateCapture, StateLoader, StateMachine } from './state-machine.js'
import type { ClerkTable } from './exactly-once.js'

/** Chunks that go to the disk together: what one commit costs is shared by them. */
const CHUNKS_PER_WRITE = 4

/** Bytes captured in one go: making a piece holds up everything else, so it is less than what travels well. */
const PIECE_BYTES = CHUNK_BYTES / 2
/** A piece, its kind and the value that made it longer, when that is a small one. */
const USUAL_PIECE_BYTES = PIECE_BYTES + 4_096

/** Snapshots are due after so many times the bytes, more or less (half of it either way). */
const STAGGER = 0.6

const PIECE_PRELUDE = 0
const PIECE_TABLE = 1
const PIECE_MACHINE = 2
const PIECE_CHANGES = 3

/** However large the state is, a snapshot waits for no more than so many times the configured bytes of log. */
const LONGEST_WAIT = 4
/** While somebody is being shipped to, so many times. */
const LONGEST_PIN = 8

interface Running {
  readonly snapshotId: string
  readonly index: Index
  readonly lineage: Lineage
  readonly elapsedMs: Millis
  readonly bytesWritten: number
  readonly table: TableCapture
  readonly changesFloor: Index
  readonly changes: ChangeCapture
  readonly machine: StateCapture
  readonly pace: CapturePace
  readonly memory: SpareBytes
  stage: 'prelude' | 'table' | 'changes' | 'machine' | 'captured'
  chunks: number
  totalBytes: number
  /** Chunks that wait for others to go to the disk with them. */
  gathered: SnapshotChunk[]
  /** Chunks on their way to the disk. */
  inFlight: number
}

type SnapshotChunk = Extract<DiskWrite, { kind: 'snapshotChunk' }>

export class Snapshots {
  readonly #s: Shared
  readonly #replication: Replication
  #running: Running | undefined
  /** Drawn anew for each: members whose logs are alike must not all write their states at once. */
  #stagger = 1

  constructor(shared: Shared, replication: Replication) {
    this.#s = shared
    this.#drawStagger()
    this.#replication = replication
  }

  get wantsCapture(): boolean {
    const run = this.#running
    if (run !== undefined) return this.#mayCapture(run) && this.#s.now >= this.#pieceDueAt(run)
    return this.#s.running && this.#s.log.bytesSinceSnapshot >= this.#dueBytes
  }

  /** When the next piece is due, unless the log grows faster. */
  get wakeAt(): Millis {
    const run = this.#running
    if (run === undefined || this.#s.reloading || !this.#mayCapture(run)) return Infinity
    const dueAt = this.#pieceDueAt(run)
    // Once it is due the driver gives it at the end of a turn.
    return dueAt > this.#s.now ? dueAt : Infinity
  }

  #mayCapture(run: Running): boolean {
    return run.stage !== 'captured' && (run.inFlight === 0 || run.gathered.length < CHUNKS_PER_WRITE - 1)
  }

  #pieceDueAt(run: Running): Millis {
    return run.pace.dueAt(run.totalBytes, this.#s.log.bytesWritten - run.bytesWritten)
  }

  /** A large state is written again only after about as many bytes of log, within bounds that keep a recovery short. */
  get #dueBytes(): number {
    const every = this.#s.options.snapshotEveryBytes
    if (this.#shipping) return LONGEST_PIN * every
    return this.#stagger * Math.max(every, Math.min(this.#s.log.snapshotBytes, LONGEST_WAIT * every))
  }

  /**
   * D6: a new snapshot replaces the one that is being fetched and cuts the log that is needed after it. Under steady writes a learner
   * that is a little slower than those would begin anew for ever.
   */
  get #shipping(): boolean {
    return this.#s.now < this.#s.shippingUntil
  }

  /** Idle time: begins a capture, or takes one piece of it. */
  capture(): void {
    if (!this.wantsCapture) return
    if (this.#running === undefined) return this.#begin()
    const run = this.#running
    const bytes = this.#nextPiece(run)
    if (bytes === undefined) {
      run.stage = 'captured'
      this.#writeGathered(run)
      return this.maybeCommit()
    }
    run.totalBytes += bytes.length
    run.gathered.push({ kind: 'snapshotChunk', snapshotId: run.snapshotId, chunk: run.chunks++, bytes })
    if (run.gathered.length === CHUNKS_PER_WRITE) this.#writeGathered(run)
  }

  #writeGathered(run: Running): void {
    const { gathered } = run
    if (gathered.length === 0) return
    run.gathered = []
    run.inFlight += gathered.length
    this.#s.write(gathered, -1, () => {
      run.inFlight -= gathered.length
      for (const { bytes } of gathered) run.memory.giveBack(bytes)
      if (this.#running === run) this.maybeCommit()
    })
  }

  /** Makes the snapshot the one to recover from, once it is whole on disk and everything in it is committed. */
  maybeCommit(): void {
    const s = this.#s
    const run = this.#running
    if (run === undefined || run.stage !== 'captured' || run.inFlight > 0) return
    if (s.reloading) return // the log it belongs to was cut or replaced
    if (s.commitIndex < run.index) return // usable only once commitIndex ≥ n
    // What was begun before the transfer waits for its end; commits come by here.
    if (this.#shipping && s.log.bytesSinceSnapshot < this.#dueBytes) return
    this.#running = undefined
    const { snapshotId, index, lineage, chunks, totalBytes } = run
    const header = { snapshotId, index, lineage, chunks, totalBytes, digest: s.rules.digest }
    s.log.snapshotCommitted(index, totalBytes, run.bytesWritten)
    // A sealed log is pinned for those who must catch up (D6).
    const cut = s.sealed ? s.log.base : s.log.cutPoint(s.options.minLogBytesKept)
    if (cut > s.log.base) {
      // Shipped from until the snapshot that replaces it is there.
      s.write(
        [
          { kind: 'snapshotCommit', header },
          { kind: 'cutPrefix', below: cut },
        ],
        -1,
        () => s.log.cutBelow(cut),
      )
      s.event('logCut', { below: cut })
    } else {
      s.write([{ kind: 'snapshotCommit', header }], -1)
    }
    s.event('snapshotCommitted', { index, chunks, bytes: totalBytes })
  }

  /** The epoch ends here: what is not committed by now may be discarded, and a snapshot that holds it with it. */
  endEpoch(): void {
    if (this.#running !== undefined && this.#s.commitIndex < this.#running.index)
      this.discard('sealed before it was committed')
  }

  discard(reason: string): void {
    const run = this.#running
    if (run === undefined) return
    this.#running = undefined
    run.table.release()
    run.changes.release()
    run.machine.release()
    this.#s.write([{ kind: 'snapshotDrop', snapshotId: run.snapshotId }], -1)
    this.#s.event('snapshotDiscarded', { index: run.index, reason })
  }

  #drawStagger(): void {
    this.#stagger = 1 + STAGGER * (this.#s.random() - 0.5)
  }

  #begin(): void {
    const s = this.#s
    const dueBytes = this.#dueBytes
    this.#drawStagger()
    this.#replication.close() // a snapshot ends where a record ends
    const index = s.log.nextIndex
    const word = Math.floor(s.random() * 2 ** 32).toString(36)
    this.#running = {
      snapshotId: `s${s.meta.epoch}.${index}.${word}`,
      index,
      lineage: lineageBelow(s.meta.lineage, index),
      elapsedMs: s.log.elapsedMs,
      bytesWritten: s.log.bytesWritten,
      table: s.table.capture(index),
      changesFloor: s.changes.floor,
      changes: s.changes.capture(),
      machine: s.machine.getState(),
      pace: new CapturePace(s.now, Math.max(s.log.snapshotBytes, dueBytes), dueBytes),
      memory: new SpareBytes(USUAL_PIECE_BYTES),
      stage: 'prelude',
      chunks: 0,
      totalBytes: 0,
      gathered: [],
      inFlight: 0,
    }
    s.event('snapshotBegun', { index })
  }

  #nextPiece(run: Running): Uint8Array | undefined {
    if (run.stage === 'prelude') {
      run.stage = 'table'
      const w = new Writer(16)
      w.u8(PIECE_PRELUDE)
      w.u53(run.elapsedMs)
      w.u53(run.changesFloor)
      return w.take()
    }
    if (run.stage === 'table') {
      const piece = run.table.next(PIECE_BYTES)
      if (piece !== undefined) return tagged(run, PIECE_TABLE, piece)
      run.stage = 'changes'
    }
    if (run.stage === 'changes') {
      const piece = run.changes.next(PIECE_BYTES)
      if (piece !== undefined) return tagged(run, PIECE_CHANGES, piece)
      run.stage = 'machine'
    }
    const piece = run.machine.next(PIECE_BYTES)
    if (piece !== undefined) return tagged(run, PIECE_MACHINE, piece)
    run.machine.release()
    return undefined
  }
}

function tagged(run: Running, kind: number, piece: Uint8Array): Uint8Array {
  const chunk = run.memory.take(1 + piece.length)
  chunk[0] = kind
  chunk.set(piece, 1)
  return chunk
}

/** Takes the chunks of a snapshot in their order, at recovery. */
export class SnapshotLoader {
  elapsedMs: Millis = 0
  readonly #table: ClerkTable
  readonly #changes: ChangeLoader
  #changesFloor: Index | undefined
  readonly #machine: StateLoader

  constructor(table: ClerkTable, machine: StateMachine, changes: ChangeLog) {
    this.#table = table
    this.#changes = changes.loader()
    this.#machine = machine.setState()
  }

  add(chunk: Uint8Array): void {
    const piece = chunk.subarray(1)
    switch (chunk[0]) {
      case PIECE_PRELUDE:
        return this.#prelude(new Reader(piece))
      case PIECE_TABLE:
        return this.#table.load(piece)
      case PIECE_CHANGES:
        return this.#changes.add(piece)
      case PIECE_MACHINE:
        return this.#machine.add(piece)
      default:
        throw new DecodeError(`unknown piece ${chunk[0]} in a snapshot`)
    }
  }

  /** `index`: of the snapshot. */
  finish(index: Index): void {
    // One that was made before there were change logs knows no change below it.
    this.#changes.finish(this.#changesFloor ?? index)
    this.#machine.finish()
  }

  #prelude(r: Reader): void {
    this.elapsedMs = r.u53()
    if (r.at < r.end) this.#changesFloor = r.u53()
  }
}
