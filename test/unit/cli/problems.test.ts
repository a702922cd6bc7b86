// What `coppice status` says when servers are missing.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { ConfigState } from '@coppice/protocol'
import { expect, test } from 'vitest'
import { problemsOf } from '../../../packages/cli/src/verbs/problems.js'

const server = (id: string) => ({ id, storeId: `store-${id}`, address: `${id}:1` })

function state(more: Partial<ConfigState> = {}): ConfigState {
  return {
    clusterId: 'c',
    group: 'main',
    version: 9,
    epoch: 4,
    members: ['r1', 'r2', 'r3'],
    start: 1,
    checkpointId: 'x',
    reservedEpoch: 4,
    wanted: 3,
    servers: ['r1', 'r2', 'r3', 'r4'].map(server),
    configServers: ['c1', 'c2', 'c3'].map(server),
    formerConfigServers: [],
    params: DEFAULT_PARAMS,
    adminResults: [],
    history: [],
    ...more,
  }
}

/** Everybody but these answers; the first config server that does leads. */
function without(...gone: string[]): { id: string; role: string }[] {
  const configs = ['c1', 'c2', 'c3'].filter((id) => !gone.includes(id))
  const leader = configs.length >= 2 ? configs[0] : undefined
  return ['c1', 'c2', 'c3', 'r1', 'r2', 'r3', 'r4'].map((id) => {
    return { id, role: gone.includes(id) ? 'unreachable' : id === leader ? 'leader' : 'some' }
  })
}

test('allAnswer_nothingIsSaid', () => {
  expect(problemsOf(state(), without(), false)).toEqual([])
})

test('twoOfThreeReplicasDead', () => {
  expect(problemsOf(state(), without('r2', 'r3'), false)).toEqual([
    'group main is stopped: 1 of 3 members answers (r1), 2 are needed. Missing: r2, r3. ' +
      'Start at least 1 of them again: coppice server replica --id ID …, with the data directory it had. ' +
      'Every member has all that was acknowledged, so nothing of it is lost. ' +
      'If they are gone for good, go on with what is there: coppice reconfigure --to r1, then coppice replica add r4',
  ])
})

test('allReplicasDead_noCommandThatCannotWork', () => {
  const [said] = problemsOf(state(), without('r1', 'r2', 'r3', 'r4'), true)
  expect(said).toContain('none of 3 members answer, 2 are needed')
  expect(said).toContain('Start at least 2 of them again: coppice chaos resume ID.')
  expect(said).not.toContain('reconfigure')
})

test('oneOfThreeReplicasDead_isReplacedByItself', () => {
  expect(problemsOf(state(), without('r2'), true)).toEqual([
    'r2 does not answer: group main goes on without, by itself; r4 can take its place. Start it again: coppice chaos resume r2.',
  ])
})

test('oneOfThreeConfigServersDead', () => {
  expect(problemsOf(state(), without('c1'), false)).toEqual([
    'c1 does not answer: 2 of 3 config servers answer (c2, c3), which is enough, but none more may fail. ' +
      'Start it again: coppice server configsvc --id c1 …, with the data directory it had.',
  ])
})

test('twoOfThreeConfigServersDead', () => {
  const said = problemsOf(state(), without('c1', 'c3'), false)
  expect(said).toHaveLength(1)
  expect(said[0]).toContain(
    'the config service is stopped: 1 of 3 config servers answers (c2), 2 are needed. Missing: c1, c3.',
  )
  expect(said[0]).toContain('as long as r1, r2 and r3 all stay up')
})

test('fewerMembersThanWanted_andNoSpareThatAnswers', () => {
  const two = state({ members: ['r1', 'r2'], servers: ['r1', 'r2', 'r3'].map(server) })
  expect(problemsOf(two, without('r3', 'r4'), false)).toEqual([
    'group main has 2 of 3 members and no spare that answers: start r3 again, or one more replica',
  ])
})

test('noLeader_saysThatAnElectionIsUnderWay', () => {
  const leaderless = without().map(({ id }) => ({ id, role: 'configsvc' }))
  expect(problemsOf(state(), leaderless, false)).toEqual([
    'no config server leads: an election is under way; look again in a few seconds',
  ])
})
