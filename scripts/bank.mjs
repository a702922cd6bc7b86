#!/usr/bin/env node
// The bank: several clients move money between accounts while an auditor adds it all up, over a cluster that may lose servers at any
// moment. The total must never change.
//
//   node scripts/bank.mjs --config 127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103 [--seconds 30] [--accounts 10] [--clients 2]
//
// --crash-at 'after debit' kills this process with SIGKILL at that step of its first transfer; start it again and see the audit recover.
import { parseArgs } from 'node:util'
import { connect } from '@coppice/vkv'

const { values: flags } = parseArgs({
  options: {
    config: { type: 'string', default: process.env.COPPICE_CONFIG ?? '127.0.0.1:7101' },
    seconds: { type: 'string', default: 'Infinity' },
    accounts: { type: 'string', default: '10' },
    clients: { type: 'string', default: '2' },
    'crash-at': { type: 'string' },
  },
})
const STARTING_BALANCE = 1_000
const LOCK_TTL = '3s'
const accounts = Array.from({ length: number('accounts', 2) }, (_, i) => `account-${String(i + 1).padStart(2, '0')}`)
const clients = number('clients', 1)
const endsAt = performance.now() + number('seconds', 0) * 1_000

let stopping = false
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (stopping = true))
const running = () => !stopping && performance.now() < endsAt

const counts = { transfers: 0, refused: 0, interrupted: 0, audits: 0, recovered: 0 }
let total = 0
let wrong = false

const auditor = await open()
for (const account of accounts) await auditor.bank.open(account, STARTING_BALANCE)
const before = await auditor.bank.audit({ timeout: '60s' })
const expected = before.total
total = expected
counts.recovered += before.recovered
console.log(`bank: ${before.accounts} accounts hold ${expected} together; ${clients} clients, Ctrl-C to stop`)

const printer = setInterval(print, 1_000)
await Promise.all([audit(), ...Array.from({ length: clients }, transfer)])
clearInterval(printer)
// The last word: nothing is under way any more.
await auditOnce().catch((error) => console.log(`bank: no last audit: ${error.message}`))
print()
await auditor.db.close()
console.log(wrong ? `bank: WRONG total, ${expected} was expected` : 'bank: every audit found the same total')
process.exitCode = wrong ? 1 : 0

/** One client: random transfers, one after the other. */
async function transfer() {
  const { db, bank } = await open()
  while (running()) {
    const source = pick(accounts)
    const target = pick(accounts.filter((account) => account !== source))
    try {
      const result = await bank.transfer(source, target, 1 + Math.floor(Math.random() * 100))
      if (result.ok) counts.transfers++
      else counts.refused++
    } catch (error) {
      // A transfer that was interrupted is finished or undone by whoever next takes one of its locks.
      counts.interrupted++
      if (!error.code) throw error
    }
  }
  await db.close()
}

/** Adds everything up, again and again. */
async function audit() {
  while (running()) {
    try {
      await auditOnce()
    } catch (error) {
      // The cluster may be choosing a new primary; the next audit will tell.
      if (!error.code) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

async function auditOnce() {
  const result = await auditor.bank.audit({ timeout: '60s' })
  counts.audits++
  counts.recovered += result.recovered
  total = result.total
  wrong ||= total !== expected
}

async function open() {
  const db = await connect(`coppice://${flags.config}`, { timeout: '30s' })
  const crashPoint = (point) => {
    if (point === flags['crash-at']) process.kill(process.pid, 'SIGKILL')
  }
  return { db, bank: db.bank({ lockTtl: LOCK_TTL, crashPoint }) }
}

function print() {
  const more = counts.interrupted + counts.recovered > 0
  const trouble = more ? `, ${counts.interrupted} interrupted, ${counts.recovered} recovered` : ''
  const verdict = total === expected ? 'right' : 'WRONG'
  console.log(
    `bank: ${counts.transfers} transfers (${counts.refused} refused for lack of funds${trouble}), ` +
      `${counts.audits} audits, total ${total} ${verdict}`,
  )
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)]
}

function number(name, least) {
  const value = Number(flags[name])
  if (value >= least) return value
  console.error(`bank: --${name} ${flags[name]} is not a number from ${least} on`)
  process.exit(2)
}
