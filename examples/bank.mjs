// Money moves between accounts by transactions; an auditor adds all balances up meanwhile and always finds the same total.
//
//   coppice dev
//   node examples/bank.mjs
import { connect } from '@coppice/vkv'

const url = `coppice://${process.env.COPPICE_CONFIG ?? '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'}`
const ACCOUNTS = Array.from({ length: 10 }, (_, i) => `example-bank/${i}`)
const OPENING = 100

/** Moves `amount`; false when the source has less. */
async function transfer(accounts, from, to, amount) {
  for (;;) {
    const [source, target] = await Promise.all([accounts.getEntry(from), accounts.getEntry(to)])
    if (source.value < amount) return false
    // Both balances are written if both are still what they were; otherwise neither, and we look again.
    const { ok } = await accounts
      .txn()
      .check(from, source.version)
      .check(to, target.version)
      .put(from, source.value - amount)
      .put(to, target.value + amount)
      .commit()
    if (ok) return true
  }
}

const db = await connect(url, { timeout: '30s' })
await Promise.all(ACCOUNTS.map((account) => db.kv.json().put(account, OPENING)))

let transfers = 0
async function client() {
  const own = await connect(url, { timeout: '30s' })
  for (let i = 0; i < 50; i++) {
    const [from, to] = [...ACCOUNTS].sort(() => Math.random() - 0.5)
    if (await transfer(own.kv.json(), from, to, 1 + Math.floor(Math.random() * 50))) transfers++
  }
  await own.close()
}

let done = false
let audits = 0
async function auditor() {
  do {
    // getMany reads all of them at one index, so a transfer is seen whole or not at all.
    const total = (await db.kv.json().getMany(ACCOUNTS)).reduce((sum, balance) => sum + balance, 0)
    if (total !== ACCOUNTS.length * OPENING) throw new Error(`the total is ${total}`)
    audits++
  } while (!done)
}

const auditing = auditor()
await Promise.all([client(), client(), client()])
done = true
await auditing
console.log(`money moved: ${transfers > 0}; every audit found ${ACCOUNTS.length * OPENING}: ${audits > 0}`)
await db.close()
