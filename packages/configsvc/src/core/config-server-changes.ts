// Changes of the config servers themselves (PROTOCOL P6): one server in or out at a time, as a chosen value of `main` after P3. Each step is
// read off the newest chosen value, so a leader that takes a request up again goes on where the one before it stopped.
import { DEFAULT_GROUP, assert } from '@coppice/protocol'
import type {
  AdminResult,
  ClientToConfig,
  ConfigServerEntry,
  ConfigState,
  ConfigToClient,
  ConnectionId,
  EventName,
  GroupName,
  Millis,
  NodeId,
  Sender,
  StoreId,
} from '@coppice/protocol'
import { withResult } from './admins.js'
import type { Asker } from './admins.js'
import { JOIN_PATIENCE_MS } from './bounds.js'
import { changeProblem, changed, isDone, wordsOf } from './config-servers.js'
import type { ConfigOptions } from './io.js'
import type { Electorate } from './register/electorate.js'
import type { Proposer } from './register/proposer.js'
import type { ConfirmRounds } from './rounds.js'

export type ChangeRequest = Extract<ClientToConfig, { kind: 'changeConfigServers' }>

export interface ChangesHost {
  readonly now: Millis
  readonly options: ConfigOptions
  readonly electorate: Electorate
  readonly rounds: ConfirmRounds
  readonly proposers: ReadonlyMap<GroupName, Proposer>
  beginRound(): void
  address(id: NodeId, address: string): void
  reply(connection: ConnectionId, message: ConfigToClient): void
  event(name: EventName, fields: Readonly<Record<string, unknown>>): void
}

interface Pending {
  readonly adminId: string
  readonly change: ChangeRequest['change']
  readonly askers: Asker[]
  /** When this leader began to bring the new server up to date. */
  learningSince: Millis | undefined
  /** A value of `main` for it is proposed and not chosen yet. */
  proposing: boolean
}

export class ConfigServerChanges {
  /** The chosen value has this server no longer, and a round has told it. */
  removedSelf = false
  private readonly host: ChangesHost
  private pending: Pending | undefined
  /** Groups whose copy of the list is being brought up to date. */
  private readonly copying = new Set<GroupName>()

  constructor(host: ChangesHost) {
    this.host = host
  }

  /** A change is under way, or a copy of the list is behind. */
  get busy(): boolean {
    return this.pending !== undefined || this.copying.size > 0
  }

  get note(): string {
    return this.pending === undefined ? '' : `changes the config servers: ${wordsOf(this.pending.change)}`
  }

  add(connection: ConnectionId, { requestId, adminId, change }: ChangeRequest): void {
    const asker = { connection, requestId }
    const done = this.main.adminResults.find((r) => r.requestId === adminId)
    if (done !== undefined) return this.answer([asker], done)
    if (this.pending?.adminId === adminId) {
      this.pending.askers.push(asker)
      return
    }
    const replicas = [...this.host.proposers.values()].flatMap((p) => p.chosen?.servers ?? []).map((s) => s.id)
    const problem =
      (adminId === '' ? 'the request has no name (adminId)' : undefined) ?? changeProblem(this.main, change, replicas)
    if (problem !== undefined) return this.answer([asker], this.resultOf(adminId, false, problem))
    // P6: one at a time; an operator sees what the other one asked for.
    if (this.pending !== undefined) {
      const words = `another change of the config servers is in progress: ${wordsOf(this.pending.change)}`
      return this.answer([asker], this.resultOf(adminId, false, words))
    }
    this.pending = { adminId, change, askers: [asker], learningSince: undefined, proposing: false }
    this.advance()
  }

  /** Goes as far as it can; called whenever something was accepted or confirmed, and with every heartbeat. */
  advance(): void {
    const main = this.host.proposers.get(DEFAULT_GROUP)?.chosen
    if (main === undefined) return
    this.copyToGroups(main)
    const p = this.pending
    // P6 after P3: the values of all groups are recommitted and held by a majority of the present voters, so that the majorities that
    // chose them and those of the next voters have a server in common.
    if (p === undefined || p.proposing || !this.settled) return
    const { add, remove } = p.change
    if (add !== null && !main.configServers.some((s) => s.id === add.id)) return this.bringUp(p, add)
    if (!isDone(main, p.change)) return this.remove(p, remove!)
    this.conclude(p, this.resultOf(p.adminId, true, `config servers: ${namesOf(main)}`))
  }

  /** The learner answered: its store is known, and a store that comes in its place begins anew. */
  onHeard(from: Sender): void {
    const { learner } = this.host.electorate
    if (learner?.id === from.id) learner.storeId = from.storeId
  }

  onClientGone(connection: ConnectionId): void {
    const askers = this.pending?.askers ?? []
    const at = askers.findIndex((a) => a.connection === connection)
    if (at >= 0) askers.splice(at, 1)
  }

  /** This server leads no longer: whoever waits asks the next leader, under the same name. */
  stop(leader: NodeId): void {
    for (const { connection, requestId } of this.pending?.askers ?? [])
      this.host.reply(connection, { kind: 'adminAnswer', requestId, leader, result: null })
    this.pending = undefined
  }

  private get main(): ConfigState {
    const { chosen } = this.host.proposers.get(DEFAULT_GROUP)!
    assert(chosen !== undefined, 'config servers change after the recommit (P3)')
    return chosen
  }

  private get settled(): boolean {
    for (const p of this.host.proposers.values()) if (!p.settled) return false
    return true
  }

  /** The new server first holds everything that is chosen; then it is added under the store it answered with. */
  private bringUp(p: Pending, add: { readonly id: NodeId; readonly address: string }): void {
    const { electorate, now, proposers } = this.host
    if (electorate.learner?.id !== add.id) {
      p.learningSince = now
      electorate.learner = { ...add, storeId: undefined }
      this.host.address(add.id, add.address)
      return this.host.beginRound()
    }
    const { storeId } = electorate.learner
    const holdsAll = storeId !== undefined && [...proposers.values()].every((x) => x.heldBy(storeId))
    if (!holdsAll || !this.answers(storeId)) {
      if (now - p.learningSince! < JOIN_PATIENCE_MS) return
      const why = storeId === undefined ? `does not answer at ${add.address}` : 'did not take over all that is chosen'
      return this.fail(p, `${add.id} ${why}; nothing was changed`)
    }
    const entry = { id: add.id, storeId, address: add.address }
    this.propose(p, changed(this.main, entry, null))
  }

  private remove(p: Pending, id: NodeId): void {
    this.propose(p, changed(this.main, null, id))
  }

  /** Proposes one more or one less, if a majority of those that remain answers this leader now. */
  private propose(p: Pending, next: ConfigState): void {
    const { electorate, options } = this.host
    const answering = next.configServers.filter((s) => this.answers(s.storeId))
    if (answering.length * 2 <= next.configServers.length) {
      const silent = next.configServers.filter((s) => !answering.includes(s)).map((s) => s.id)
      const far = next.configServers.length > this.main.configServers.length ? '' : doneSoFar(p, this.main)
      return this.fail(p, `${silent.join(', ')} would leave ${namesOf(next)} without a majority that answers${far}`)
    }
    p.proposing = true
    const done = isDone(next, p.change)
    const result = this.resultOf(p.adminId, true, `config servers: ${namesOf(next)}`)
    this.host.proposers.get(DEFAULT_GROUP)!.update(
      (s) => {
        const value = { ...s, configServers: next.configServers, formerConfigServers: next.formerConfigServers }
        return done ? withResult(value, result) : value
      },
      () => {
        p.proposing = false
        this.host.event('configServersChanged', { configServers: next.configServers.map((s) => s.id) })
        // Whoever left is told in this round that it did.
        this.host.beginRound()
        electorate.forgetLeft()
        this.removedSelf = !next.configServers.some((s) => s.id === options.id)
        if (done) this.finish(p, result)
      },
    )
  }

  private fail(p: Pending, message: string): void {
    this.conclude(p, this.resultOf(p.adminId, false, message))
  }

  private conclude(p: Pending, result: AdminResult): void {
    p.proposing = true
    this.host.electorate.learner = undefined
    this.host.proposers.get(DEFAULT_GROUP)!.update(
      (s) => withResult(s, result),
      () => this.finish(p, result),
    )
  }

  private finish(p: Pending, result: AdminResult): void {
    this.pending = undefined
    this.answer(p.askers, result)
  }

  private answer(askers: readonly Asker[], result: AdminResult): void {
    const { options, reply, event } = this.host
    for (const { connection, requestId } of askers)
      reply(connection, { kind: 'adminAnswer', requestId, leader: options.id, result })
    event('adminAnswered', { group: DEFAULT_GROUP, adminId: result.requestId, ok: result.ok })
  }

  private resultOf(requestId: string, ok: boolean, message: string): AdminResult {
    return { requestId, ok, message: message.slice(0, 2_000), epoch: this.main.epoch }
  }

  /** Acknowledged a round of this leader lately. */
  private answers(store: StoreId): boolean {
    const { now, rounds, options } = this.host
    return now - rounds.heardAt(store) <= options.election.stepDownMs
  }

  /** Other groups' registers carry the list for their replicas and clerks; nobody votes by it. */
  private copyToGroups(main: ConfigState): void {
    for (const [group, proposer] of this.host.proposers) {
      const copy = proposer.chosen?.configServers
      if (group === DEFAULT_GROUP || copy === undefined || this.copying.has(group)) continue
      if (same(copy, main.configServers)) continue
      this.copying.add(group)
      proposer.update(
        (s) =>
          same(s.configServers, this.main.configServers) ? undefined : { ...s, configServers: this.main.configServers },
        () => this.copying.delete(group),
      )
    }
  }
}

function doneSoFar(p: Pending, main: ConfigState): string {
  const { add } = p.change
  return add === null ? '' : `; ${add.id} was added, the config servers are ${namesOf(main)}`
}

function namesOf(s: ConfigState): string {
  return s.configServers.map((c) => c.id).join(', ')
}

function same(a: readonly ConfigServerEntry[], b: readonly ConfigServerEntry[]): boolean {
  return a.length === b.length && a.every((x, i) => x.storeId === b[i]!.storeId && x.address === b[i]!.address)
}
