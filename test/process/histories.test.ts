// Recorded histories of real clusters: clerks, transactions between keys, and readers pinned to every replica, under kills, pauses and reconfigurations. The checker
// must find each of them linearizable. A history that it does not is kept, for `coppice check-history FILE`.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkHistory, parseHistory } from '@coppice/sim'
import type { Db } from '@coppice/vkv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cluster } from './support/cluster.js'
import { Moves } from './support/moves.js'
import { troublesOf } from './support/nemesis.js'
import { PinnedReader } from './support/pinned-reader.js'
import { Recorder } from './support/recorder.js'
import { pause } from './support/wait.js'

const RUNS = 20
const CLERKS = 5
/** Of them that also make transactions. */
const MOVERS = 3
const BEFORE_MS = 200
/** Long enough for a failover, or short where none is to be seen. */
const AFTER_MS = 1_600
const BRIEFLY_MS = 600
const CHECK_MS = 20_000
let cluster: Cluster
let clerks: Db[]

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: 5 })
  clerks = await Promise.all(Array.from({ length: CLERKS }, () => cluster.connect()))
})
afterAll(() => cluster?.stop())

/** What happens in the middle of a run; it is healed at the run's end. */
const names = [
  'primaryKilled',
  'backupKilled',
  'configLeaderKilled',
  'backupPaused',
  'primaryPaused',
  'reconfigured',
  'reconfiguredAndPrimaryKilled',
] as const

test.each(Array.from({ length: RUNS }, (_, run) => [names[run % names.length]!, run + 1] as const))(
  '%s_history%i_isLinearizable',
  async (trouble, run) => {
    await cluster.whole()
    const keys = Array.from({ length: 4 }, (_, i) => `history-${run}/${i}`)
    const recorder = new Recorder()
    const moves = new Moves(
      recorder,
      Array.from({ length: 4 }, (_, i) => `history-${run}/move/${i}`),
      1_000,
    )
    await moves.open(clerks[0]!)
    const readers = cluster.replicas.map(({ address }) => new PinnedReader(address))
    let done = false
    const stopped = (): boolean => done
    const recorded = [
      ...clerks.map((db) => recorder.client(db, keys, stopped)),
      ...clerks.slice(0, MOVERS).map((db) => moves.run(db, stopped)),
      ...readers.map((reader) => recorder.pinned(reader, keys, stopped, () => pause(1))),
    ]
    await pause(BEFORE_MS)
    const heal = await troublesOf(cluster)[trouble]()
    await pause(heal === undefined ? BRIEFLY_MS : AFTER_MS)
    done = true
    // A pinned read at a replica that leads nowhere may wait for ever.
    for (const reader of readers) reader.close()
    await Promise.all(recorded)
    const [result] = await Promise.all([check(recorder.text), heal?.()])
    const file = join(mkdtempSync(join(tmpdir(), 'coppice-history-')), `${trouble}.jsonl`)
    if (result.verdict !== 'ok') writeFileSync(file, recorder.text)
    expect(result.verdict, result.verdict === 'illegal' ? `${file}: ${result.message}` : file).toBe('ok')
    expect(moves.problems).toEqual([])
    expect(moves.moves).toBeGreaterThan(0)
    const reads = readers.map(({ answered }) => answered)
    expect(reads.filter((count) => count > 0).length, 'replicas that answered pinned reads').toBeGreaterThanOrEqual(3)
    process.stdout.write(
      `  ${trouble}: ${recorder.events.length} events, ${moves.moves} moves, ${moves.refusals} refused, pinned reads ${reads.join(', ')}\n`,
    )
  },
)

function check(text: string): ReturnType<typeof checkHistory> {
  const deadline = performance.now() + CHECK_MS
  return checkHistory(parseHistory(text), { budget: () => performance.now() < deadline })
}
