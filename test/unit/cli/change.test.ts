// Which members a change leaves, and what is said about it beforehand.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { ConfigState, ProcessStatus } from '@coppice/protocol'
import { describe, expect, test } from 'vitest'
import { CliError, EXIT } from '../../../packages/cli/src/base/exit.js'
import { membersAfter, toleratedFailures } from '../../../packages/cli/src/change/member-list.js'
import type { Change } from '../../../packages/cli/src/change/member-list.js'
import { previewOf, previewText } from '../../../packages/cli/src/change/preview.js'
import type { Answer } from '../../../packages/cli/src/base/ask-server.js'

const MiB = 1024 * 1024

function state(members: readonly string[] = ['r1', 'r2', 'r3'], minReplicas: number | null = null): ConfigState {
  const server = (id: string) => ({ id, storeId: `store-${id}`, address: `${id}:1` })
  return {
    clusterId: 'c',
    group: 'main',
    version: 9,
    epoch: 4,
    members: [...members],
    start: 1,
    checkpointId: 'x',
    reservedEpoch: 4,
    wanted: members.length,
    servers: ['r1', 'r2', 'r3', 'r4', 'r5'].map(server),
    configServers: [],
    formerConfigServers: [],
    params: { ...DEFAULT_PARAMS, minReplicas },
    adminResults: [],
    history: [],
  }
}

function refusal(run: () => unknown): CliError {
  try {
    run()
  } catch (error) {
    if (error instanceof CliError) return error
  }
  throw new Error('no CliError')
}

function says(id: string, nextIndex: number, more: Partial<ProcessStatus> = {}): [string, Answer] {
  const sizes = { base: 1, logBytes: 10 * MiB, fullBytes: 100 * MiB }
  return [id, { id, nextIndex, ...sizes, ...more } as ProcessStatus]
}

describe('membersAfter', () => {
  test.each<[Change, string]>([
    [{ kind: 'add', ids: ['r4'] }, 'r1,r2,r3,r4'],
    [{ kind: 'add', ids: ['r5', 'r4'] }, 'r1,r2,r3,r5,r4'],
    [{ kind: 'remove', ids: ['r2'] }, 'r1,r3'],
    [{ kind: 'remove', ids: ['r1'] }, 'r2,r3'],
    [{ kind: 'replace', old: 'r2', by: 'r4' }, 'r1,r4,r3'],
    [{ kind: 'replace', old: 'r1', by: 'r4' }, 'r2,r3,r4'],
    [{ kind: 'to', ids: ['r3', 'r1'] }, 'r3,r1'],
  ])('%j_leaves_%s', (change, after) => {
    expect(membersAfter(state(), change).join()).toBe(after)
  })

  test.each<[Change, number, string]>([
    [{ kind: 'add', ids: ['r9'] }, EXIT.notFound, 'no replica named r9 has registered; known: r1, r2, r3, r4, r5'],
    [{ kind: 'add', ids: ['r2'] }, EXIT.conditionNotMet, 'r2 is a member already; spares: r4, r5'],
    [{ kind: 'add', ids: ['r4', 'r4'] }, EXIT.usage, 'r4 is named twice'],
    [{ kind: 'remove', ids: ['r4'] }, EXIT.conditionNotMet, 'r4 is not a member; members: r1, r2, r3'],
    [{ kind: 'remove', ids: ['r1', 'r2', 'r3'] }, EXIT.conditionNotMet, 'a group keeps one member at least'],
    [{ kind: 'replace', old: 'r4', by: 'r5' }, EXIT.conditionNotMet, 'r4 is not a member'],
    [{ kind: 'replace', old: 'r1', by: 'r2' }, EXIT.conditionNotMet, 'r2 is a member already'],
    [{ kind: 'to', ids: ['r1', ''] }, EXIT.usage, 'an id is empty'],
  ])('%j_isRefused', (change, exitCode, words) => {
    const { exitCode: code, message } = refusal(() => membersAfter(state(), change))
    expect(code).toBe(exitCode)
    expect(message).toContain(words)
  })

  test('remove_belowMinReplicas_isRefused_andSaysHowToDoItAllTheSame', () => {
    const { message } = refusal(() => membersAfter(state(undefined, 3), { kind: 'remove', ids: ['r2'] }))
    expect(message).toContain('minReplicas is 3')
    expect(message).toContain('coppice reconfigure --to r1,r3')
  })

  test('toleratedFailures_byMajorityOfWanted', () => {
    expect([1, 2, 3, 4, 5].map((n) => toleratedFailures(state(), n))).toEqual([0, 0, 1, 1, 2])
    expect(toleratedFailures(state(undefined, 1), 3)).toBe(2)
  })
})

describe('previewOf', () => {
  const members = [says('r1', 1_001), says('r2', 1_001), says('r3', 1_001)]

  test('joining_learnsInProportionToWhatItLacks', () => {
    const p = previewOf(state(), ['r1', 'r2', 'r3', 'r4'], new Map([...members, says('r4', 901)]))
    expect(p.joining).toEqual([{ id: 'r4', answers: true, how: 'delta', bytes: MiB }])
    expect(p).toMatchObject({ minReplicas: 3, toleratedFailures: 1, problem: null, leaving: [] })
    expect(p.undo).toBe('coppice reconfigure --to r1,r2,r3')
  })

  test('joining_whoseEntriesAreGone_getsTheState', () => {
    const cut = members.map(([id]) => says(id, 1_001, { base: 500 }))
    const p = previewOf(state(), ['r1', 'r2', 'r4'], new Map([...cut, says('r4', 1)]))
    expect(p.joining).toEqual([{ id: 'r4', answers: true, how: 'full', bytes: 100 * MiB }])
    expect(previewText(p)).toContain('joins    r4: learns about 100.0 MiB (a copy of the state) before anything stops')
    expect(previewText(p)).toContain('leaves   r3: stays registered, as a spare')
  })

  test('joining_thatHasEverything', () => {
    const p = previewOf(state(), ['r1', 'r2', 'r4'], new Map([...members, says('r4', 1_001)]))
    expect(previewText(p)).toContain('joins    r4: has everything already')
  })

  test('spareThatDoesNotAnswer_isAProblem', () => {
    const p = previewOf(
      state(),
      ['r1', 'r2', 'r4'],
      new Map([...members, ['r4', { silence: 'no answer: r4:1: refused' }]]),
    )
    expect(p.problem).toBe('r4 does not answer (no answer: r4:1: refused): start it first')
    expect(p.joining[0]).toMatchObject({ answers: false })
  })

  test('deadMemberThatLeaves_isNone', () => {
    const p = previewOf(state(), ['r1', 'r3'], new Map([members[0]!, members[2]!, ['r2', { silence: 'gone' }]]))
    expect(p.problem).toBeNull()
    expect(previewText(p)).toContain('2 members, which tolerate no failure (minReplicas is 2)')
  })
})
