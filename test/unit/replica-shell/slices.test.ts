import { expect, test } from 'vitest'
import type { RecoveryProgress } from '@coppice/replica/server'
import { chunkOf, freshDir, headerOf, openStore, recordOf } from './support.js'

/** Stands for a machine that takes its time over each piece. */
function work(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('recover_slowPieces_letsTheEventLoopRunBetweenSlices_andTellsProgress', async () => {
  const t = await openStore(freshDir())
  const pieces = Array.from({ length: 12 }, () => new Uint8Array(100))
  pieces.forEach((bytes, i) => void t.write(chunkOf('s', i, bytes)))
  for (let i = 1; i <= 12; i++) void t.write(recordOf(i))
  await t.write({ kind: 'snapshotCommit', header: headerOf('s', 5, pieces) })

  let turns = 0
  let turnsAtPiece = 0
  let longestRun = 0
  let run = 0
  const timer = (): void => {
    turns++
    ticking = setImmediate(timer)
  }
  let ticking = setImmediate(timer)
  const piece = (): void => {
    work(5)
    run = turns === turnsAtPiece ? run + 1 : 1
    turnsAtPiece = turns
    longestRun = Math.max(longestRun, run)
  }
  const progress: RecoveryProgress[] = []
  await t.store.recover({ snapshotChunk: piece, record: piece }, undefined, (p) => progress.push(p))
  clearImmediate(ticking)
  // Two pieces of 5 ms fill a slice of 8 ms; a third one waits for the next turn.
  expect(longestRun).toBeLessThanOrEqual(3)
  expect(progress.some((p) => p.phase === 'snapshot' && p.bytes < p.totalBytes && p.totalBytes === 1_200)).toBe(true)
  expect(progress.some((p) => p.phase === 'log')).toBe(true)
})
