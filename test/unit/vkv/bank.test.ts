// The bank: whatever happens to its clients, no money is made or lost, no balance is negative, and every lock is free in the end.
import { expect, test } from 'vitest'
import { CoppiceError } from '@coppice/protocol'
import { type CrashPoint, decodeGetReply, encodeGet } from '@coppice/vkv/core'
import { Bank, CRASH_POINTS, listLocks, QUERY_GET_MANY } from '@coppice/vkv/internal'
import { type MemoryClerk, World } from './memory-clerk.js'
import { bytes, text } from './machine-help.js'

const ACCOUNTS = ['alice', 'bob', 'carol', 'dave']
const TOTAL = 400

async function open(world: World): Promise<Bank> {
  const bank = new Bank(world.client(), world.ports, { lockTtl: 1_000 })
  for (const account of ACCOUNTS) await world.run(bank.open(account, 100))
  return bank
}

async function expectAllWell(world: World): Promise<void> {
  const clerk = world.client()
  const bank = new Bank(clerk, world.ports, { lockTtl: 1_000 })
  const audit = await world.run(bank.audit())
  expect(audit).toMatchObject({ total: TOTAL, accounts: ACCOUNTS.length })
  for (const account of ACCOUNTS) expect(await world.run(bank.balance(account))).toBeGreaterThanOrEqual(0)
  await world.pass(5_000)
  const held: string[] = []
  await world.run(
    (async () => {
      for await (const lock of listLocks(clerk, world.ports)) if (lock.token !== 0) held.push(lock.name)
    })(),
  )
  expect(held).toEqual([])
  expect(decodeGetReply(world.driven.read(encodeGet(bytes('bank/intent/alice'))).reply)).toBeUndefined()
}

test('transfer_enoughFunds_movesTheAmount', async () => {
  const world = new World(1)
  const bank = await open(world)
  expect(await world.run(bank.transfer('bob', 'alice', 30))).toEqual({
    ok: true,
    sourceBalance: 70,
    targetBalance: 130,
  })
  expect(await world.run(bank.transfer('bob', 'alice', 71))).toEqual({
    ok: false,
    reason: 'insufficient funds',
    balance: 70,
  })
  await expectAllWell(world)
})

test.each([
  ['to itself', 'alice', 'alice', 1, 'INVALID_ARGUMENT'],
  ['of nothing', 'alice', 'bob', 0, 'INVALID_ARGUMENT'],
  ['of less than nothing', 'alice', 'bob', -5, 'INVALID_ARGUMENT'],
  ['of a fraction', 'alice', 'bob', 1.5, 'INVALID_ARGUMENT'],
  ['from an unknown account', 'nobody', 'bob', 1, 'NOT_FOUND'],
  ['to an unknown account', 'alice', 'nobody', 1, 'NOT_FOUND'],
])('transfer_%s_refused', async (_, source, target, amount, code) => {
  const world = new World(2)
  const bank = await open(world)
  const refused = await world.run(bank.transfer(source, target, amount).catch((error: unknown) => error))
  expect(refused).toMatchObject({ code, outcome: 'not-applied' })
  await expectAllWell(world)
})

/** A client that dies when its transfer reaches `point`. */
function doomed(world: World, point: CrashPoint): { clerk: MemoryClerk; bank: Bank; dead: Promise<void> } {
  const clerk = world.client()
  let died = (): void => undefined
  const dead = new Promise<void>((resolve) => (died = resolve))
  const bank = new Bank(clerk, world.ports, {
    lockTtl: 1_000,
    crashPoint: (reached) => {
      if (reached !== point) return
      clerk.crash()
      died()
      return new Promise(() => undefined)
    },
  })
  return { clerk, bank, dead }
}

const MOVED: Record<CrashPoint, boolean> = {
  'after first lock': false,
  'after second lock': false,
  'after intent': false,
  'after debit': false,
  'after credit': true,
  'after intent delete': true,
  'after first release': true,
}

for (const point of CRASH_POINTS) {
  for (const [source, target] of [
    ['alice', 'bob'],
    ['bob', 'alice'],
  ] as const) {
    test(`crash_${point.replaceAll(' ', '-')}_${source}To${target}_finishedOrUndone`, async () => {
      const world = new World(3)
      await open(world)
      const { bank, dead } = doomed(world, point)
      void bank.transfer(source, target, 40).catch(() => undefined)
      await world.run(dead)
      await expectAllWell(world)
      const value = text(decodeGetReply(world.driven.read(encodeGet(bytes(`bank/account/${source}`))).reply)?.value)
      expect(value).toBe(MOVED[point] ? '60' : '100')
    })
  }
}

test('recovery_crashesToo_nextOneFinishes', async () => {
  for (const point of ['after intent', 'after debit', 'after credit'] as const) {
    for (let writes = 1; writes < 12; writes++) {
      const world = new World(writes)
      await open(world)
      const first = doomed(world, point)
      void first.bank.transfer('bob', 'alice', 40).catch(() => undefined)
      await world.run(first.dead)
      // The recovering client dies after so many of its own operations.
      const second = world.client()
      const died = new Promise<void>((resolve) => {
        second.onSubmit = () => {
          if (second.submitted >= writes) {
            second.crash()
            resolve()
          }
          return undefined
        }
      })
      const recovery = new Bank(second, world.ports, { lockTtl: 1_000 }).recover().then(() => undefined)
      await world.run(Promise.race([died, recovery]))
      await expectAllWell(world)
    }
  }
})

test('transfer_oneCallFails_finishedOrUndone', async () => {
  // Any one call of a transfer fails, whether it was applied or not, and its client lives on and goes on working.
  for (const outcome of ['not-applied', 'unknown'] as const) {
    for (let call = 1; call <= 8; call++) {
      const world = new World(call)
      await open(world)
      const clerk = world.client()
      let calls = 0
      clerk.onSubmit = () => (++calls === call ? new CoppiceError('lost', { code: 'TIMEOUT', outcome }) : undefined)
      const bank = new Bank(clerk, world.ports, { lockTtl: 1_000 })
      const first = await world.run(bank.transfer('bob', 'alice', 40).catch((error: unknown) => error))
      const second = await world.run(bank.transfer('carol', 'bob', 5))
      expect(second).toMatchObject({ ok: true })
      const moved = (await world.run(bank.balance('alice'))) === 140
      expect(first).toMatchObject(moved && call > 6 ? { ok: true } : { code: 'TIMEOUT' })
      await expectAllWell(world)
    }
  }
})

test('transfer_locksTakenOverInTheMiddle_oldHolderCannotGoOn', async () => {
  // A client is paused (not dead) after its debit for longer than its locks last, then goes on.
  const world = new World(5)
  await open(world)
  const clerk = world.client()
  let wake = (): void => undefined
  let paused = (): void => undefined
  const reached = new Promise<void>((resolve) => (paused = resolve))
  // Renewals are held up as the whole process is.
  let asleep = false
  clerk.onSubmit = () => undefined
  const after = clerk.clock.after.bind(clerk.clock)
  Object.assign(clerk.clock, {
    after: (ms: number, run: () => void) => after(ms, () => (asleep ? void after(10_000, run) : run())),
  })
  const bank = new Bank(clerk, world.ports, {
    lockTtl: 1_000,
    crashPoint: (point) => {
      if (point !== 'after debit') return
      asleep = true
      paused()
      return new Promise<void>((resolve) => (wake = resolve))
    },
  })
  const transfer = bank.transfer('alice', 'bob', 40).catch((error: unknown) => error)
  await world.run(reached)
  await world.pass(2_000)
  expect(await world.run(new Bank(world.client(), world.ports).audit())).toMatchObject({ total: TOTAL, recovered: 1 })
  asleep = false
  wake()
  expect(await world.run(transfer)).toMatchObject({ code: 'FENCED', outcome: 'unknown' })
  await expectAllWell(world)
})

test('transfers_manyClientsWithCrashesAndAudits_totalConstant', async () => {
  for (let seed = 0; seed < 25; seed++) {
    const world = new World(seed)
    await open(world)
    const audits: number[] = []
    const workers: Promise<void>[] = []
    for (let w = 0; w < 3; w++) {
      workers.push(
        (async () => {
          for (let left = 6; left > 0; left--) {
            const clerk = world.client()
            const point =
              world.random() < 0.4 ? CRASH_POINTS[Math.floor(world.random() * CRASH_POINTS.length)] : undefined
            const { bank, dead } = doomed(world, point ?? 'after first lock')
            const working = point === undefined ? new Bank(clerk, world.ports, { lockTtl: 1_000 }) : bank
            const source = Math.floor(world.random() * 4)
            const target = (source + 1 + Math.floor(world.random() * 3)) % 4
            const amount = 1 + Math.floor(world.random() * 60)
            const done = working.transfer(ACCOUNTS[source]!, ACCOUNTS[target]!, amount).then(
              () => undefined,
              () => undefined,
            )
            await Promise.race([done, dead])
          }
        })(),
      )
    }
    const auditor = new Bank(world.client(), world.ports, { lockTtl: 1_000 })
    const auditing = (async () => {
      for (let i = 0; i < 3; i++) audits.push((await auditor.audit()).total)
    })()
    await world.run(Promise.all([...workers, auditing]))
    expect(audits).toEqual([TOTAL, TOTAL, TOTAL])
    await expectAllWell(world)
  }
})

test('audit_locksLostBeforeItsRead_readsAgain', async () => {
  const world = new World(8)
  await open(world)
  const clerk = world.client()
  const read = clerk.read.bind(clerk)
  let held = true
  // The auditor's read is held up, and its renewals, until another client has taken its locks and has debited.
  clerk.read = async (query, options) => {
    if (query[0] !== QUERY_GET_MANY || !held) return read(query, options)
    held = false
    clerk.onSubmit = () => new CoppiceError('cut off', { code: 'UNAVAILABLE', outcome: 'not-applied' })
    await other()
    clerk.onSubmit = undefined
    return read(query, options)
  }
  const other = () =>
    new Promise<void>((resolve) => {
      const bank = new Bank(world.client(), world.ports, {
        lockTtl: 1_000,
        crashPoint: (point) => {
          if (point !== 'after debit') return
          resolve()
          return new Promise<void>((go) => void world.after(100, go))
        },
      })
      void bank.transfer('alice', 'bob', 40)
    })
  const audit = await world.run(new Bank(clerk, world.ports, { lockTtl: 1_000 }).audit())
  expect(audit.total).toBe(TOTAL)
  await expectAllWell(world)
})

test('audit_underConstantLoad_terminates', async () => {
  const world = new World(9)
  await open(world)
  let stop = false
  const load = Array.from({ length: 4 }, async (_, i) => {
    const bank = new Bank(world.client(), world.ports, { lockTtl: 1_000 })
    while (!stop) await bank.transfer(ACCOUNTS[i]!, ACCOUNTS[(i + 1) % 4]!, 1)
  })
  const bank = new Bank(world.client(), world.ports, { lockTtl: 1_000 })
  for (let i = 0; i < 3; i++) expect(await world.run(bank.audit({ timeout: '20s' }))).toMatchObject({ total: TOTAL })
  stop = true
  await world.run(Promise.all(load))
  await expectAllWell(world)
})

test('audit_outOfTime_givesItsLocksBack', async () => {
  const world = new World(12)
  await open(world)
  const clerk = world.client()
  const read = clerk.read.bind(clerk)
  // All locks are held, and the balances do not come.
  clerk.read = (query, options) => {
    if (query[0] !== QUERY_GET_MANY) return read(query, options)
    const late = new CoppiceError('late', { code: 'TIMEOUT', outcome: 'not-applied' })
    return new Promise((_, reject) => void world.after(options!.timeoutMs! + 1, () => reject(late)))
  }
  const bank = new Bank(clerk, world.ports, { lockTtl: 1_000 })
  const error = await world.run(bank.audit({ timeout: '5s' }).catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ code: 'TIMEOUT' })
  await expectAllWell(world)
})

test('transfer_abortedAfterItsFirstWrite_isAnAbortError_withItsReason', async () => {
  const world = new World(13)
  await open(world)
  const abort = new AbortController()
  const crashPoint = (point: CrashPoint): void => {
    if (point === 'after debit') abort.abort('enough')
  }
  const bank = new Bank(world.client(), world.ports, { lockTtl: 1_000, crashPoint })
  const { signal } = abort
  const error = await world.run(bank.transfer('bob', 'alice', 30, { signal }).catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORTED', outcome: 'unknown', cause: 'enough' })
  await expectAllWell(world)
})
