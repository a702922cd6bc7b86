// A rolling restart as `coppice restart` does it: one server at a time, each while the cluster is whole; config servers first, the leader last;
// then the backups; the primary last, after a hand-over.
import type { NodeId } from '@coppice/protocol'
import type { Cluster } from '../cluster.js'
import type { Host } from '../hosts/host.js'
import { check } from '../kernel/violation.js'
import { START_MS, story } from './tell.js'
import type { Story } from './tell.js'

/** Writes may stop for so long in a planned change, ms: some messages and disk writes; no lease ends and no silence is waited for. */
const PAUSE_MS = 150
const POLL_MS = 20
const LEAVE_MS = 5_000
const END_MS = 30_000

class RollingRestart {
  readonly #c: Cluster
  readonly #before: readonly NodeId[]
  readonly #epoch: number

  readonly #onEnd: () => void

  constructor(cluster: Cluster, onEnd: () => void) {
    this.#c = cluster
    this.#onEnd = onEnd
    const { members, epoch } = cluster.oracle.registers.newest!
    this.#before = members
    this.#epoch = epoch
  }

  get #members(): readonly NodeId[] {
    return this.#c.oracle.registers.newest!.members
  }

  configServers(remaining: readonly Host[] = this.#c.configs): void {
    const { leader } = this.#c
    const next = remaining.find((host) => host !== leader) ?? remaining[0]
    if (next === undefined) return this.members(this.#before)
    next.crash()
    this.#c.crashes++
    this.#startAgain(next, () => this.configServers(remaining.filter((host) => host !== next)))
  }

  members(remaining: readonly NodeId[]): void {
    const c = this.#c
    if (remaining.length === 0) return this.#judge()
    const backup = this.#members.slice(1).find((id) => remaining.includes(id))
    const next = c.replicas.find(({ id }) => id === (backup ?? remaining[0]))!
    const leave = (): void => {
      next.leave(LEAVE_MS)
      c.crashes++
      this.#startAgain(next, () => this.members(remaining.filter((id) => id !== next.id)))
    }
    if (backup !== undefined) return leave()
    c.requestHandover(c.replicas.find(({ id }) => id === this.#members[1])!)
    this.#when(() => this.#members[0] !== next.id, leave)
  }

  #startAgain(host: Host, then: () => void): void {
    if (host.alive) return void this.#c.kernel.after(POLL_MS, () => this.#startAgain(host, then))
    this.#c.kernel.after(this.#c.random.between(100, 1_500), () => {
      host.start()
      this.#when(() => true, then)
    })
  }

  /** Once the cluster is whole and this holds. */
  #when(condition: () => boolean, then: () => void): void {
    this.#c.kernel.after(POLL_MS, () => (isWhole(this.#c) && condition() ? then() : this.#when(condition, then)))
  }

  /** No spare took a place that its member came back for, no member had to be missed, and no change stopped writes for long. */
  #judge(): void {
    const c = this.#c
    const changes = c.oracle.registers.newest!.history.filter(({ epoch }) => epoch > this.#epoch)
    const causes = changes.map(({ cause }) => cause).join()
    const expected = ['leave,restore', 'leave,restore', 'operator', 'leave,restore'].join()
    check(causes === expected, 'story', () => `changes: ${changes.map(({ detail }) => detail).join('; ')}`)
    const members = [...this.#members].sort().join()
    check(members === [...this.#before].sort().join(), 'story', () => `the members are ${members}`)
    for (const { detail, writePauseMs, catchUp } of changes) {
      check(
        writePauseMs === null || writePauseMs < PAUSE_MS,
        'story',
        () => `${detail}: writes paused for ${writePauseMs} ms`,
      )
      check(!catchUp.some(({ how }) => how === 'full'), 'story', () => `${detail}: somebody needed the whole state`)
    }
    this.#onEnd()
  }
}

function isWhole(c: Cluster): boolean {
  const chosen = c.oracle.registers.newest
  if (c.leader === undefined || chosen?.members.length !== c.plan.wanted) return false
  return chosen.members.every((id) => {
    const view = c.replicas.find((r) => r.id === id)?.view
    return view?.meta.epoch === chosen.epoch && view.activated
  })
}

export const ROLLING_STORIES: readonly Story[] = [
  story(
    'rolling-restart',
    (c) => {
      let ended = false
      c.kernel.at(START_MS, () => new RollingRestart(c, () => (ended = true)).configServers())
      c.kernel.at(END_MS, () => check(ended, 'story', () => 'the rolling restart did not end'))
    },
    { healMs: END_MS + 100, spares: 1, minLogBytesKept: 64_000 },
  ),
]
