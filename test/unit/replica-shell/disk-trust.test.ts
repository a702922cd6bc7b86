import { expect, test } from 'vitest'
import { DiskTrust } from '../../../packages/replica/src/shell/log/disk-trust.js'

/** Writes by the thread until the next one is made on the spot. */
function asides(trust: DiskTrust): number {
  let n = 0
  while (!trust.onTheSpot) {
    trust.wroteAside()
    n++
  }
  return n
}

test('fastDisk_isTrustedAfterAWhile_andStaysTrusted', () => {
  const trust = new DiskTrust()
  expect(asides(trust)).toBe(64)
  for (let i = 0; i < 1_000; i++) trust.wroteOnTheSpot(i % 50 === 25 ? 2 : 0.15)
  expect(trust.onTheSpot).toBe(true)
})

test('slowDisk_isTriedOnceInAWhile_lessAndLessOften', () => {
  const trust = new DiskTrust()
  const pauses = Array.from({ length: 8 }, () => {
    const n = asides(trust)
    trust.wroteOnTheSpot(1.2)
    return n
  })
  expect(pauses).toEqual([64, 64, 128, 256, 512, 1_024, 2_048, 4_096])
  asides(trust)
  // Good again for long: a bad moment is forgiven as at the beginning.
  for (let i = 0; i < 300; i++) trust.wroteOnTheSpot(0.1)
  trust.wroteOnTheSpot(30)
  expect(asides(trust)).toBe(64)
})

test('oneVerySlowWrite_isEnough', () => {
  const trust = new DiskTrust()
  asides(trust)
  for (let i = 0; i < 20; i++) trust.wroteOnTheSpot(0.1)
  trust.wroteOnTheSpot(11)
  expect(trust.onTheSpot).toBe(false)
})
