// Transfers between accounts over plain operations, locks and an intent (PROTOCOL 9; Grove §6.3). Whatever step its client dies at, the
// next one that finds the expired lock finishes or undoes the transfer; no money is made or lost.
import { CoppiceError, type Index } from '@coppice/protocol'
import type { ClerkLike } from '@coppice/clerk/core'
import { compareBytes } from '../core/compare-bytes.js'
import { encodeGetMany } from '../core/queries.js'
import { decodeManyReply } from '../core/replies.js'
import {
  ACCOUNT_PREFIX,
  bankError,
  INTENT_PREFIX,
  LOCK_PREFIX,
  parseBalance,
  type Audit,
  type CrashPoint,
  type Intent,
  type TransferResult,
} from './bank-records.js'
import { Budget, type Options } from './budget.js'
import type { Duration } from './duration.js'
import { textKv, type Kv, type KvEntry } from './kv.js'
import { acquireLock, type HeldLock } from './lock.js'
import type { KvPorts } from './ports.js'

/** Of a bank. */
export interface BankOptions {
  /** ttl of the locks: how long the accounts of a dead client's transfer stay blocked. Default 5 s. */
  readonly lockTtl?: Duration | undefined
  /** Called between the steps of a transfer; a test kills its client here. */
  readonly crashPoint?: ((point: CrashPoint) => void | Promise<void>) | undefined
}

/** Locks held together, in byte order of their accounts. */
interface Locked {
  readonly locks: readonly HeldLock[]
  readonly recovered: number
}

/** Accounts in the store. A transfer whose client dies is finished or undone by whoever next takes one of its locks. */
export class Bank {
  readonly #clerk: ClerkLike
  readonly #ports: KvPorts
  readonly #kv: Kv
  readonly #options: BankOptions

  constructor(clerk: ClerkLike, ports: KvPorts, options: BankOptions = {}) {
    this.#clerk = clerk
    this.#ports = ports
    this.#kv = textKv(clerk, ports)
    this.#options = options
  }

  /** Opens an account; false when it exists already (its balance stays). */
  async open(account: string, balance: number, options?: Options): Promise<boolean> {
    if (account === '') throw bankError('an account needs a name', 'INVALID_ARGUMENT')
    if (!Number.isSafeInteger(balance) || balance < 0) {
      throw bankError(`a balance of ${balance} is not a whole number from zero on`, 'INVALID_ARGUMENT')
    }
    return (await this.#kv.put(ACCOUNT_PREFIX + account, String(balance), { ...options, ifVersion: 0 })).ok
  }

  /** Balance of an account, undefined: unknown account. In the middle of a transfer the amount may be on neither side. */
  async balance(account: string, options?: Options): Promise<number | undefined> {
    const value = await this.#kv.get(ACCOUNT_PREFIX + account, options)
    return value === undefined ? undefined : parseBalance(account, value)
  }

  /** Names of all accounts, in byte order. */
  async accounts(options?: Options): Promise<string[]> {
    const names: string[] = []
    for await (const key of this.#kv.keys({ ...options, prefix: ACCOUNT_PREFIX })) {
      names.push(key.slice(ACCOUNT_PREFIX.length))
    }
    return names
  }

  /**
   * Moves money. Errors: INVALID_ARGUMENT, NOT_FOUND (unknown account), and those of any call; with outcome `unknown` the transfer was
   * interrupted and is finished or undone by whoever next takes one of its locks.
   */
  async transfer(source: string, target: string, amount: number, options?: Options): Promise<TransferResult> {
    if (source === target) throw bankError('source and target are the same account', 'INVALID_ARGUMENT')
    if (!Number.isSafeInteger(amount) || amount <= 0) {
      throw bankError(`an amount of ${amount} is not a whole number above zero`, 'INVALID_ARGUMENT')
    }
    const budget = new Budget(this.#clerk, this.#ports, options)
    const { locks } = await this.#lockAll([source, target], budget, (n) =>
      this.#reach(n === 0 ? 'after first lock' : 'after second lock'),
    )
    // From the first write on the locks are abandoned on any failure, never released: the next holder must look for the intent.
    let begun = false
    try {
      const kv = this.#kv.guarded(locks.map((lock) => lock.guard))
      const [from, to] = await this.#entries([source, target], budget)
      const fromBalance = parseBalance(source, from.value)
      const toBalance = parseBalance(target, to.value)
      if (fromBalance < amount) {
        await this.#release(locks, budget)
        return { ok: false, reason: 'insufficient funds', balance: fromBalance }
      }
      if (!Number.isSafeInteger(toBalance + amount)) {
        throw bankError(`account ${JSON.stringify(target)} cannot hold ${amount} more`, 'INVALID_ARGUMENT')
      }
      const intent: Intent = {
        source,
        target,
        amount,
        sourceBalance: fromBalance,
        sourceVersion: from.version,
        targetVersion: to.version,
      }
      begun = true
      // Each of the four writes carries both fences in its entry: a client that was paused past its locks cannot do the next step.
      await this.#write(kv, INTENT_PREFIX + source, JSON.stringify(intent), 0, budget)
      await this.#reach('after intent')
      await this.#write(kv, ACCOUNT_PREFIX + source, String(fromBalance - amount), from.version, budget)
      await this.#reach('after debit')
      await this.#write(kv, ACCOUNT_PREFIX + target, String(toBalance + amount), to.version, budget)
      await this.#reach('after credit')
      await kv.delete(INTENT_PREFIX + source, budget.rest('transfer'))
      begun = false
      await this.#reach('after intent delete')
      // The money has moved: a release that fails leaves a lock to expire, not a failed transfer.
      await this.#release([locks[1]!], budget).catch(() => undefined)
      await this.#reach('after first release')
      await this.#release([locks[0]!], budget).catch(() => undefined)
      return { ok: true, sourceBalance: fromBalance - amount, targetBalance: toBalance + amount }
    } catch (error) {
      // In the background: the caller learns at once, and a lock that cannot be given back expires.
      for (const lock of locks) void (begun ? lock.abandon() : lock.release()).catch(() => undefined)
      throw begun ? interrupted(error) : error
    }
  }

  /** Finishes or undoes every transfer whose client is gone; waits for the locks of those that are alive. Answers how many. */
  async recover(options?: Options): Promise<number> {
    const budget = new Budget(this.#clerk, this.#ports, options)
    let recovered = 0
    for (const { intent } of await this.#intents(budget)) {
      if (await this.#recoverPair([intent.source, intent.target], budget)) recovered++
    }
    return recovered
  }

  /** Sum of all balances at one index, while no transfer is under way. Waits for running ones, recovers interrupted ones. */
  async audit(options: Options = {}): Promise<Audit> {
    const budget = new Budget(this.#clerk, this.#ports, { ...options, timeout: options.timeout ?? '60s' })
    let recovered = 0
    for (;;) {
      const accounts = await this.accounts(budget.rest('audit'))
      const locked = await this.#lockAll(accounts, budget)
      recovered += locked.recovered
      try {
        const keys = accounts.map((account) => this.#ports.text.encode(ACCOUNT_PREFIX + account))
        const guards = locked.locks.map((lock) => lock.guard)
        const reply = decodeManyReply(await this.#clerk.read(encodeGetMany(keys, guards), budget.next('audit')))
        // A lock was lost meanwhile: what was read is no total.
        if (reply.kind === 'fenced') continue
        if (reply.entries.length < keys.length) throw bankError('too many accounts for one audit', 'CONFLICT')
        let total = 0
        reply.entries.forEach((found, i) => {
          if (found !== undefined) total += parseBalance(accounts[i]!, this.#ports.text.decode(found.value))
        })
        return { total, accounts: accounts.length, recovered }
      } finally {
        await this.#release(locked.locks, budget).catch(() => undefined)
      }
    }
  }

  /**
   * Takes the accounts' locks in byte order. An expired one may hide an interrupted transfer: then everything taken so far is given up,
   * because that transfer's locks must be taken in byte order too, it is recovered, and we begin again.
   */
  async #lockAll(
    accounts: readonly string[],
    budget: Budget,
    onLocked: (n: number) => Promise<void> | void = () => undefined,
  ): Promise<Locked> {
    const ordered = this.#inOrder(accounts)
    for (let recovered = 0; ;) {
      const locks: HeldLock[] = []
      let stranded: Intent | undefined
      // A lock found expired stays suspect until it is known that no intent names its account.
      let suspect: HeldLock | undefined
      try {
        for (const account of ordered) {
          const lock = await this.#lock(account, budget)
          locks.push(lock)
          if (lock.taken !== 'free') suspect = lock
          await onLocked(locks.length - 1)
          if (suspect === undefined) continue
          stranded = (await this.#intents(budget)).find(({ intent }) => names(intent, account))?.intent
          if (stranded !== undefined) break
          suspect = undefined
        }
        if (stranded === undefined) return { locks, recovered }
      } finally {
        if (stranded !== undefined || suspect !== undefined || locks.length < ordered.length) {
          for (const lock of locks.reverse()) {
            void (lock === suspect ? lock.abandon() : lock.release()).catch(() => undefined)
          }
        }
      }
      if (await this.#recoverPair([stranded.source, stranded.target], budget)) recovered++
    }
  }

  /** Ends the interrupted transfer between two accounts, if there is one; false when somebody else did. */
  async #recoverPair(pair: readonly [string, string], budget: Budget): Promise<boolean> {
    const locks: HeldLock[] = []
    let clean = false
    try {
      for (const account of this.#inOrder(pair)) locks.push(await this.#lock(account, budget))
      const found = (await this.#intents(budget)).filter(({ intent }) => pair.some((name) => names(intent, name)))
      const ours = found.find(({ intent }) => pair.every((name) => names(intent, name)))
      if (ours !== undefined) await this.#finish(ours.intent, ours.version, locks, budget)
      // An intent with a third account means one more client died meanwhile; the lock stays suspect, and its next taker sees to it.
      clean = found.length === (ours === undefined ? 0 : 1)
      return ours !== undefined
    } finally {
      for (const lock of locks.reverse()) void (clean ? lock.release() : lock.abandon()).catch(() => undefined)
    }
  }

  /**
   * With both locks in hand, versions tell how far the transfer came. Done again after a crash in here it does the same: the undo writes the
   * balance that the intent names, and the intent goes last.
   */
  async #finish(intent: Intent, version: Index, locks: readonly HeldLock[], budget: Budget): Promise<void> {
    const kv = this.#kv.guarded(locks.map((lock) => lock.guard))
    const [from, to] = await this.#entries([intent.source, intent.target], budget)
    const credited = to.version !== intent.targetVersion
    const debited = from.version !== intent.sourceVersion
    if (!credited && debited) {
      await this.#write(kv, ACCOUNT_PREFIX + intent.source, String(intent.sourceBalance), from.version, budget)
    }
    await kv.delete(INTENT_PREFIX + intent.source, { ...budget.rest('recovery'), ifVersion: version })
  }

  async #intents(budget: Budget): Promise<{ intent: Intent; version: Index }[]> {
    const intents: { intent: Intent; version: Index }[] = []
    for await (const entry of this.#kv.range({ ...budget.rest('recovery'), prefix: INTENT_PREFIX })) {
      intents.push({ intent: JSON.parse(entry.value) as Intent, version: entry.version })
    }
    return intents
  }

  async #entries(
    accounts: readonly [string, string],
    budget: Budget,
  ): Promise<[KvEntry<string, string>, KvEntry<string, string>]> {
    const read = async (account: string): Promise<KvEntry<string, string>> => {
      const entry = await this.#kv.getEntry(ACCOUNT_PREFIX + account, budget.rest('bank'))
      if (entry === undefined) throw bankError(`account ${JSON.stringify(account)} is unknown`, 'NOT_FOUND')
      return entry
    }
    return Promise.all([read(accounts[0]), read(accounts[1])])
  }

  async #write(kv: Kv, key: string, value: string, ifVersion: Index, budget: Budget): Promise<void> {
    const written = await kv.put(key, value, { ...budget.rest('bank'), ifVersion })
    // Nobody else writes under these locks, unless by hand and past the bank.
    if (!written.ok) throw bankError(`${JSON.stringify(key)} was changed without its lock`, 'CONFLICT')
  }

  #lock(account: string, budget: Budget): Promise<HeldLock> {
    const ttl = this.#options.lockTtl ?? '5s'
    return acquireLock(this.#clerk, this.#ports, LOCK_PREFIX + account, { ...budget.rest('bank'), ttl })
  }

  /** Gives all of them back, whatever is left of the call's time; only the waiting for it ends with that. */
  async #release(locks: readonly HeldLock[], budget: Budget): Promise<void> {
    await budget.within(Promise.all([...locks].reverse().map((lock) => lock.release())), 'bank')
  }

  #inOrder(accounts: readonly string[]): string[] {
    const keyed = accounts.map((account) => ({ account, key: this.#ports.text.encode(account) }))
    keyed.sort((a, b) => compareBytes(a.key, 0, a.key.length, b.key, 0, b.key.length))
    return keyed.map(({ account }) => account)
  }

  async #reach(point: CrashPoint): Promise<void> {
    await this.#options.crashPoint?.(point)
  }
}

function names(intent: Intent, account: string): boolean {
  return intent.source === account || intent.target === account
}

function interrupted(error: unknown): unknown {
  if (!(error instanceof CoppiceError)) return error
  const message = `transfer interrupted, it will be finished or undone: ${error.message}`
  const { code, attempts, epoch } = error
  const cause = code === 'ABORTED' ? error.cause : error
  return new CoppiceError(message, { code, outcome: 'unknown', attempts, epoch, cause })
}
