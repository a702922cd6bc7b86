// Which chunks of a snapshot are asked for: a window at a time, again only those that are missing.
import { describe, expect, it } from 'vitest'
import { TRANSFER_WINDOW_BYTES } from '@coppice/protocol'
import { IncomingSnapshot } from '../../../packages/replica/src/core/incoming-snapshot.js'
import { addAll, startCluster } from './harness/setup.js'

const MiB = 1024 * 1024

function incoming(chunks: number, chunkBytes = MiB): IncomingSnapshot {
  const totalBytes = chunks * chunkBytes
  return new IncomingSnapshot('x', { snapshotId: 's', index: 9, lineage: [[0, 0]], chunks, totalBytes }, 100)
}

function asked(snapshot: IncomingSnapshot): number[] {
  const chunks: number[] = []
  for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) chunks.push(chunk)
  return chunks
}

describe('IncomingSnapshot', () => {
  it('next_asManyAsFillTheWindow', () => {
    const under = (chunkBytes: number): number => asked(incoming(1_000, chunkBytes)).length
    expect(under(MiB)).toBe(TRANSFER_WINDOW_BYTES / MiB)
    expect(under(256 * 1024)).toBe(TRANSFER_WINDOW_BYTES / (256 * 1024))
    // Values of 16 MiB, and chunks of next to nothing.
    expect(under(16 * MiB)).toBe(4)
    expect(under(10)).toBe(32)
  })

  it('next_fourAtATime', () => {
    const s = incoming(10)
    expect(s.take(0)).toBe(true)
    expect(asked(s)).toEqual([1, 2, 3, 4])
    s.written()
    s.take(1)
    expect(asked(s)).toEqual([5])
    expect(s.tokenOf(5)).toBe(105)
    expect(s.tokensEnd).toBe(110)
  })

  it('missing_namesOnlyHoles', () => {
    const s = incoming(10)
    s.take(0)
    asked(s)
    expect([s.take(4), s.take(2), s.take(2), s.take(10)]).toEqual([true, true, false, false])
    expect(s.missing()).toEqual([1, 3])
    // Nothing more while the lowest is missing.
    expect(asked(s)).toEqual([])
    s.take(1)
    s.take(3)
    for (let i = 0; i < 5; i++) s.written()
    expect(asked(s)).toEqual([5, 6, 7, 8])
  })

  it('next_waitsForTheDisk', () => {
    const s = incoming(20)
    for (let chunk = 0; chunk < 6; chunk++) s.take(chunk)
    expect(asked(s)).toEqual([])
    s.written()
    s.written()
    expect(asked(s)).toEqual([6, 7, 8, 9])
  })

  it('complete_inAnyOrder', () => {
    const s = incoming(3)
    for (const chunk of [2, 0]) s.take(chunk)
    expect(s.complete).toBe(false)
    s.take(1)
    expect(s.complete).toBe(true)
  })
})

describe('a learner', () => {
  it('goes_on_with_another_source_when_its_own_is_gone', () => {
    const s = startCluster({ ids: ['a', 'b', 'c', 'd'], members: ['a', 'b', 'c'], snapshotEveryBytes: 500 })
    for (let i = 0; i < 60; i++) addAll(s, [i % 7])
    s.c.run(500)
    const learn = (source: string): void =>
      s.config.send('d', { kind: 'learn', group: 'main', attempt: 'x', epoch: 1, source: s.config.entry(source) })
    s.c.cut.add('d>b')
    learn('b')
    s.c.run(1_000)
    expect(s.c.view('d').nextIndex).toBe(1)
    const ready = (): boolean => s.c.view('d').nextIndex === s.c.view('a').nextIndex
    for (let i = 0; i < 20 && !ready(); i++) {
      learn('a')
      s.c.run(500)
    }
    expect(ready()).toBe(true)
  })
})
