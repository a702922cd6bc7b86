import { describe, expect, test } from 'vitest'
import { DEFAULT_PARAMS, sealRecord, RECORD_HEADER_BYTES, RUN_BARRIER } from '@coppice/protocol'
import type { ConfigState } from '@coppice/protocol'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { CHANGE_EXPIRE, CHANGE_PUT, encodePut, STREAM_KEYS } from '@coppice/vkv/core'
import { encodeTxn, STEP_PUT_LASTING, type Step } from '@coppice/vkv/internal'
import { Endings } from '../../../packages/sim/src/oracle/endings.js'
import { Logs } from '../../../packages/sim/src/oracle/logs.js'
import { Registers } from '../../../packages/sim/src/oracle/registers.js'
import { History } from '../../../packages/sim/src/workload/history.js'

const servers = (...ids: string[]) => ids.map((id) => ({ id, storeId: id, address: `${id}:1` }))
const three = servers('c1', 'c2', 'c3')

function state(version: number, epoch: number, configServers = servers('c1')): ConfigState {
  return {
    clusterId: 'c',
    group: 'main',
    version,
    epoch,
    members: ['r1'],
    start: 1,
    checkpointId: `e${epoch}`,
    reservedEpoch: epoch,
    wanted: 1,
    servers: [],
    configServers,
    formerConfigServers: [],
    params: DEFAULT_PARAMS,
    adminResults: [],
    history: [],
  }
}
const ballot = (round: number) => ({ round, node: 'c1' })

describe('registers', () => {
  test('accepted_is_chosen_by_a_majority_in_one_ballot_only', () => {
    const registers = new Registers()
    registers.enterSent(1, 'e1', 0)
    expect(registers.accepted('c1', { ballot: ballot(1), version: 1, value: state(1, 1, three) })).toBeUndefined()
    expect(registers.accepted('c2', { ballot: ballot(2), version: 1, value: state(1, 1, three) })).toBeUndefined()
    expect(registers.epoch).toBe(0)
    expect(registers.accepted('c3', { ballot: ballot(2), version: 1, value: state(1, 1, three) })?.epoch).toBe(1)
  })
  test('accepted_two_values_of_one_version_is_a_violation', () => {
    const registers = new Registers()
    registers.accepted('c1', { ballot: ballot(1), version: 1, value: state(1, 0) })
    expect(() =>
      registers.accepted('c1', { ballot: ballot(2), version: 1, value: { ...state(1, 0), wanted: 2 } }),
    ).toThrow('P3')
  })
  test('accepted_an_epoch_that_did_not_grow_out_of_the_active_one_is_a_violation', () => {
    const registers = new Registers()
    registers.enterSent(1, 'e1', 0)
    registers.enterSent(3, 'e3', 2)
    registers.accepted('c1', { ballot: ballot(1), version: 1, value: state(1, 1) })
    expect(() => registers.accepted('c1', { ballot: ballot(1), version: 2, value: state(2, 3) })).toThrow('I1')
  })

  const choose = (registers: Registers, round: number, value: ConfigState, ...stores: string[]): void => {
    for (const store of stores) registers.accepted(store, { ballot: ballot(round), version: value.version, value })
  }
  test('accepted_is_counted_by_the_servers_that_the_value_names', () => {
    const registers = new Registers()
    choose(registers, 1, state(1, 0, three), 'c1', 'c2', 'c4')
    expect(registers.newest?.version).toBe(1)
    choose(registers, 1, state(2, 0, servers('c1', 'c2', 'c3', 'c4')), 'c1', 'c2')
    expect(registers.newest?.version).toBe(1)
    choose(registers, 1, state(2, 0, servers('c1', 'c2', 'c3', 'c4')), 'c4')
    expect(registers).toMatchObject({ changes: 1, newest: { version: 2 } })
  })
  test('accepted_two_servers_changed_at_once_is_a_violation', () => {
    const registers = new Registers()
    choose(registers, 1, state(1, 0, three), 'c1', 'c2', 'c4')
    expect(() => choose(registers, 1, state(2, 0, servers('c1', 'c2', 'c4')), 'c1', 'c4')).toThrow('P6')
  })
  test('accepted_an_empty_store_that_gets_a_vote_is_a_violation', () => {
    const registers = new Registers()
    choose(registers, 1, state(1, 0, three), 'c1', 'c2')
    expect(() => choose(registers, 1, state(2, 0, servers('c1', 'c2', 'c3', 'c4')), 'c1', 'c2', 'c3')).toThrow('P6')
  })
  test('accepted_a_ballot_that_begins_below_what_was_chosen_is_a_violation', () => {
    const registers = new Registers()
    choose(registers, 1, state(1, 0, three), 'c1', 'c2')
    choose(registers, 1, state(2, 0, three), 'c1', 'c2')
    expect(() => choose(registers, 2, state(1, 0, three), 'c3')).toThrow('P2')
  })
  test('learned_what_no_majority_holds_is_a_violation', () => {
    const registers = new Registers()
    choose(registers, 1, state(1, 0, three), 'c1')
    expect(() => registers.learned('c1', state(1, 0, three))).toThrow('P1')
    choose(registers, 1, state(1, 0, three), 'c2')
    registers.learned('c1', state(1, 0, three))
  })
})

function record(epoch: number, firstIndex: number, elapsedMs: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + 1)
  bytes[RECORD_HEADER_BYTES] = RUN_BARRIER
  sealRecord(bytes, { epoch, firstIndex, entries: 1, elapsedMs }, nodeBytes.crc32)
  return bytes
}

describe('logs', () => {
  test('record_equal_place_needs_equal_bytes_and_predecessor', () => {
    const logs = new Logs()
    logs.record('a', record(2, 5, 10), 1)
    logs.record('b', record(2, 5, 10), 1)
    logs.record('b', record(3, 5, 10), 1)
    expect(() => logs.record('b', record(2, 5, 11), 1)).toThrow('I2')
    expect(() => logs.record('b', record(2, 5, 10), 2)).toThrow('I2')
  })
  test('proposes_and_entered_allow_one_incarnation_and_one_checkpoint', () => {
    const logs = new Logs()
    logs.proposes(1, 'a.1')
    logs.proposes(1, 'a.1')
    expect(() => logs.proposes(1, 'a.2')).toThrow('I2')
    logs.entered('a', 1, 'x', 5)
    logs.entered('b', 1, 'x', 5)
    expect(() => logs.entered('c', 1, 'y', 5)).toThrow('I2')
  })
})

describe('history', () => {
  test('end_a_read_below_a_version_known_before_it_is_a_violation', () => {
    const history = new History()
    const put = history.begin('p', 'write', 'k', 'v')
    const early = history.begin('q', 'read', 'k', undefined)
    history.end(put, 'ok', undefined, { version: 7, value: 'v' })
    history.end(early, 'ok', 'old', { version: 3, value: 'old' })
    const late = history.begin('q', 'read', 'k', undefined)
    expect(() => history.end(late, 'ok', 'old', { version: 3, value: 'old' })).toThrow('I5')
  })
  test('operations_leave_out_what_says_nothing', () => {
    const history = new History()
    history.begin('p', 'read', 'k', undefined)
    history.failed(history.begin('p', 'write', 'k', 'never'), 'not-applied')
    history.failed(history.begin('p', 'write', 'k', 'perhaps'), 'unknown')
    expect(history.operations().map((o) => [o.value, o.outcome])).toEqual([['perhaps', 'open']])
  })
})

describe('endings', () => {
  const done = Uint8Array.of(0)
  /** A key that is put at 100 with a ttl of 50 ms, so that it is due at 151. */
  function putAt100(): Endings {
    const endings = new Endings(nodeBytes)
    const put = encodePut(nodeText.encode('k'), nodeText.encode('v'), {}, { ttlMs: 50 })
    endings.applied(1, 100, put, 0, put.length, done, [{ stream: STREAM_KEYS, kind: CHANGE_PUT, topic: 'k' }])
    return endings
  }
  const other = encodePut(nodeText.encode('other'), nodeText.encode('v'))
  const told = [{ stream: STREAM_KEYS, kind: CHANGE_PUT, topic: 'other' }]
  const ended = [{ stream: STREAM_KEYS, kind: CHANGE_EXPIRE, topic: 'k' }]

  test('applied_an_operation_that_finds_what_was_due_a_tick_ago_is_a_violation', () => {
    putAt100().applied(2, 160, other, 0, other.length, done, told)
    const endings = putAt100()
    expect(() => endings.applied(2, 161, other, 0, other.length, done, told)).toThrow('finds what was due: k at 151')
  })
  test('applied_a_transaction_whose_branch_names_a_ttl_or_a_session', () => {
    const lasting = (ttlMs: number, session: number) =>
      ({ kind: STEP_PUT_LASTING, key: nodeText.encode('k'), value: nodeText.encode('v'), ttlMs, session }) as const
    const txn = (success: Step, failure: Step) =>
      encodeTxn({ guards: [], comparisons: [], success: [success], failure: [failure] })
    const isPut = [{ stream: STREAM_KEYS, kind: CHANGE_PUT, topic: 'k' }]
    const answered = (held: number) => Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0, held)
    for (const [held, dueAt] of [
      [1, 151],
      [0, 171],
    ] as const) {
      const endings = new Endings(nodeBytes)
      const operation = txn(lasting(50, 0), lasting(70, 0))
      endings.applied(1, 100, operation, 0, operation.length, answered(held), isPut)
      expect(() => endings.ticked(2, dueAt - 1, ended)).toThrow('those due are none')
      endings.ticked(3, dueAt, ended)
    }
    const binds = txn(lasting(50, 0), lasting(0, 9))
    const applied = (): void => new Endings(nodeBytes).applied(1, 100, binds, 0, binds.length, answered(0), isPut)
    expect(applied).toThrow('binds k to the session 9, which is not there')
  })
  test('ticked_may_be_as_late_as_nothing_comes_before_it', () => {
    const endings = putAt100()
    endings.ticked(2, 900, ended)
    endings.applied(3, 900, other, 0, other.length, done, told)
  })
  test('ticked_one_that_leaves_something_or_is_early_is_a_violation', () => {
    expect(() => putAt100().ticked(2, 151, [])).toThrow('ends the keys none; those due are k')
    expect(() => putAt100().ticked(2, 150, ended)).toThrow('ends the keys k; those due are none')
  })
})
