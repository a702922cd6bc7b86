// A bank client as a process of its own: node bank-client.mjs ADDRESSES SOURCE TARGET AMOUNT LOCK_TTL CRASH_POINT
// Kills itself with SIGKILL when its transfer reaches the crash point. Runs the built packages.
import { connect } from '@coppice/vkv'

const [addresses, source, target, amount, lockTtl, crashAt] = process.argv.slice(2)
const db = await connect(`coppice://${addresses}`, { timeout: '30s' })
const bank = db.bank({
  lockTtl,
  crashPoint: (point) => {
    if (point === crashAt) process.kill(process.pid, 'SIGKILL')
  },
})
await bank.transfer(source, target, Number(amount))
await db.close()
