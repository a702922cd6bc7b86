// What is under way to all watchers of a replica together is bounded, and nobody waits for ever because of that.
import { expect, test } from 'vitest'
import { MAX_WATCH_BYTES_UNDER_WAY, WATCH_CREDIT_BYTES } from '@coppice/protocol'
import type { ReplicaToClient } from '@coppice/protocol'
import { ChangeLog } from '../../../packages/replica/dist/core/change-log.js'
import type { Lease } from '../../../packages/replica/dist/core/lease.js'
import type { Reporter } from '../../../packages/replica/dist/core/report.js'
import type { Shared } from '../../../packages/replica/dist/core/shared.js'
import { Watches } from '../../../packages/replica/dist/core/watches.js'
import { testBytes } from './harness/bytes.js'

const WATCHERS = 3_000
const TOPIC = Uint8Array.of(1)

function replica() {
  const changes = new ChangeLog()
  const told: number[] = Array.from({ length: WATCHERS }, () => 0)
  const shared = {
    now: 0,
    commitIndex: 1,
    activated: true,
    running: true,
    meta: { epoch: 1 },
    log: { nextIndex: 1 },
    bytes: testBytes,
    recovered: { changes },
    reply: (connection: number, message: ReplicaToClient) => {
      if (message.kind === 'changes') told[connection]! += message.changes.end - message.changes.start
    },
  }
  const watches = new Watches(
    shared as unknown as Shared,
    { valid: () => true } as unknown as Lease,
    { unanswered: 0 } as unknown as Reporter,
  )
  const run = (): void => {
    for (let i = 0; i < 10_000 && watches.wantsTelling; i++) watches.tell()
  }
  const publish = (bytes: number): void => {
    changes.index = shared.commitIndex++
    changes.change(0, 0, TOPIC, 0, 1, new Uint8Array(bytes), 0, bytes)
    run()
  }
  for (let connection = 0; connection < WATCHERS; connection++) {
    const filter = { kind: 'watch' as const, watchId: 1, stream: 0, exact: true, topic: TOPIC, from: 0 }
    watches.onWatch(connection, { ...filter, credit: 1_000_000 })
  }
  run()
  return { watches, told, run, publish }
}

test('consumed_less_than_a_portion_of_credit_everybody_is_told_more', () => {
  const { told, publish } = replica()
  // Nothing of this is given back: less than a portion.
  publish(WATCH_CREDIT_BYTES - 1_000)
  expect(WATCHERS * told[0]!).toBeGreaterThan(MAX_WATCH_BYTES_UNDER_WAY)
  const before = told[0]!
  publish(10)
  expect(told.every((bytes) => bytes > before)).toBe(true)
})

test('beyond_the_bound_who_owes_more_waits_until_it_has_consumed', () => {
  const { watches, told, run, publish } = replica()
  publish(WATCH_CREDIT_BYTES - 1_000)
  publish(WATCH_CREDIT_BYTES)
  const before = [...told]
  publish(10)
  expect(told).toEqual(before)
  for (let connection = 0; connection < WATCHERS; connection++)
    watches.onCredit(connection, { kind: 'credit', watchId: 1, bytes: before[connection]! })
  run()
  expect(told.every((bytes, i) => bytes > before[i]!)).toBe(true)
})
