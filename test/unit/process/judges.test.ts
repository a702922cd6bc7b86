// The judges of the process tests can condemn: histories that are wrong on purpose.
import { describe, expect, test } from 'vitest'
import { judgeEnds } from '../../process/support/log-time.js'
import { type Gone, judgeSessions } from '../../process/support/session-load.js'

describe('judgeEnds', () => {
  /** Readings of a clock that stands still between entries 40 and 60. */
  const readings = [
    { index: 9, atMs: 100 },
    { index: 11, atMs: 100 },
    { index: 20, atMs: 149 },
    { index: 30, atMs: 160 },
    { index: 31, atMs: 161 },
    { index: 40, atMs: 170 },
    { index: 60, atMs: 170 },
    { index: 70, atMs: 230 },
  ]
  const life = (ttlMs: number, put: number, end: number) => [{ key: 'k', ttlMs, put, end }]

  test('atItsTime_andTenMillisecondsLater_isRight', () => {
    expect(judgeEnds(readings, life(50, 10, 25))).toEqual([])
    expect(judgeEnds(readings, life(50, 10, 31))).toEqual([])
  })
  test('clockStandsStill_anyIndexIsRight', () => {
    expect(judgeEnds(readings, life(60, 10, 65))).toEqual([])
  })
  test('foundATickAfterItsTime_isLate', () => {
    expect(judgeEnds(readings, life(50, 10, 32))).toEqual([
      'k, due at 151 at the latest, was there at 161 (entry 31, end 32)',
    ])
    expect(judgeEnds(readings, life(50, 10, 71))).toHaveLength(1)
  })
  test('endsBeforeItsTime_isEarly', () => {
    expect(judgeEnds(readings, life(50, 10, 15))).toEqual(['k of 50 ms, put after 100, ended before 149'])
  })
})

describe('judgeSessions', () => {
  const belief = (validUs: number, signalUs: number) => [{ id: 7, validUs, signalUs, how: 'lost' }]
  const gone = (...versions: number[]): Map<number, Gone> =>
    new Map([[7, { atUs: 1_000, versions: new Set(versions) }]])

  test('ownerKnewBefore_isRight', () => {
    expect(judgeSessions(belief(1_000, 999), gone(5))).toEqual([])
    expect(judgeSessions(belief(2_000, 2_000), new Map())).toEqual([])
  })
  test('ownerBelievedAfter_isWrong', () => {
    expect(judgeSessions(belief(1_001, 0), gone(5))).toEqual(['session 7 was valid 1 µs after its keys were seen gone'])
    expect(judgeSessions(belief(0, 1_200), gone(5))).toEqual([
      'session 7 was not aborted 200 µs after its keys were seen gone',
    ])
  })
  test('keysEndOneByOne_isWrong', () => {
    expect(judgeSessions([], gone(5, 6))).toEqual(['the keys of session 7 ended at 5 and 6'])
  })
})
