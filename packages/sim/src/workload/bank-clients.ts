// Tellers and an auditor of the bank (PROTOCOL 9): tellers die at the crash points of a transfer and come back; no audit may see another
// total than was paid in, no balance may be negative, and in the end every lock is free.
import { type Bank, Db } from '@coppice/vkv/core'
import { CRASH_POINTS } from '@coppice/vkv/internal'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

const ACCOUNTS = ['a', 'b', 'c']
const PAID_IN = 100
const TOTAL = ACCOUNTS.length * PAID_IN

export class BankClients {
  readonly #workload: Workload
  #names = 0
  #open = false
  transfers = 0
  audits = 0
  deaths = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    const { host, db } = this.#connect('cashier')
    this.#workload.task(host, async () => {
      for (const account of ACCOUNTS) await this.#insist(host, () => db.bank().open(account, PAID_IN))
      this.#open = true
      await db.close()
    })
    this.#spawnTeller()
    this.#spawnTeller()
    this.#spawnAuditor()
  }

  #connect(role: string): { host: ClientHost; db: Db } {
    const { host, clerk } = this.#workload.connect(`${role}${++this.#names}`)
    return { host, db: new Db(clerk, { text: this.#workload.cluster.text }) }
  }

  /** Until it works, or the run is over. */
  async #insist(host: ClientHost, call: () => Promise<unknown>): Promise<void> {
    while (!this.#workload.stopping) {
      try {
        await call()
        return
      } catch (error) {
        outcomeOf(error)
        await host.sleep(50)
      }
    }
  }

  #spawnTeller(): void {
    const { host, db } = this.#connect('teller')
    const { random } = host
    const dieAt = random.chance(0.7) ? random.pick(CRASH_POINTS) : undefined
    let left = 1 + random.int(6)
    const crashPoint = (point: string): Promise<void> | undefined => {
      if (point !== dieAt || --left > 0 || this.#workload.stopping) return undefined
      this.deaths++
      this.#workload.kill(host)
      this.#workload.cluster.kernel.after(random.between(50, 600), () => {
        if (!this.#workload.stopping) this.#spawnTeller()
      })
      return new Promise<void>(() => undefined)
    }
    const bank = db.bank({ lockTtl: '1200ms', crashPoint })
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        if (this.#open) await this.#transfer(bank, host)
        await host.sleep(random.exponential(60))
      }
      await db.close()
    })
  }

  async #transfer(bank: Bank, host: ClientHost): Promise<void> {
    const [source, target] = host.random.shuffle(ACCOUNTS) as [string, string]
    try {
      const done = await bank.transfer(source, target, 1 + host.random.int(80), { timeout: 5_000 })
      this.transfers++
      const balances = done.ok ? [done.sourceBalance, done.targetBalance] : [done.balance]
      check(
        balances.every((balance) => balance >= 0 && balance <= TOTAL),
        'bank',
        () => `${host.id}: balances ${balances.join(', ')}`,
      )
    } catch (error) {
      outcomeOf(error)
    }
  }

  #spawnAuditor(): void {
    const { host, db } = this.#connect('auditor')
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        await host.sleep(700)
        if (this.#open) await this.#audit(db.bank(), 6_000)
      }
      await db.close()
    })
  }

  async #audit(bank: Bank, timeout: number): Promise<boolean> {
    try {
      const { total, accounts } = await bank.audit({ timeout })
      this.audits++
      check(total === TOTAL && accounts === ACCOUNTS.length, 'bank', () => {
        return `an audit finds ${total} on ${accounts} accounts; paid in were ${TOTAL}`
      })
      return true
    } catch (error) {
      outcomeOf(error)
      return false
    }
  }

  /** When all is healed and nobody works any more: what was interrupted is recovered, the total is right, every lock is free. */
  finish(boundMs: number): void {
    if (!this.#open) return
    const { host, db } = this.#connect('inspector')
    this.#workload.task(host, async () => {
      const audited = await this.#audit(db.bank(), boundMs)
      check(audited, 'I10', () => `after everything healed an audit fails within ${boundMs} ms`)
      for (const account of ACCOUNTS) {
        const balance = await db.bank().balance(account)
        check(balance !== undefined && balance >= 0, 'bank', () => `account ${account} has ${balance}`)
      }
      // A waiter's place in a queue lapses after a moment.
      await host.sleep(4_000)
      for await (const { name } of db.locks({ prefix: 'bank/' })) {
        check(false, 'bank', () => `lock ${String(name)} is still held in the end`)
      }
      await db.close()
    })
  }
}
