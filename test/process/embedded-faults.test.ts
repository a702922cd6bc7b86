// An embedded cluster under load and random faults: crashes, pauses, partitions, hand-overs and changes of members, several at a time. What clients
// and readers pinned to each replica saw must be linearizable, and every step of a counter must have happened once.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CoppiceError, startEmbedded, type EmbeddedCluster, type EmbeddedLogLine } from '@coppice/embedded'
import { checkHistory, parseHistory } from '@coppice/sim'
import { expect, test } from 'vitest'
import { Load } from './support/load.js'
import { PinnedReader } from './support/pinned-reader.js'
import { Recorder } from './support/recorder.js'
import { pause, until } from './support/wait.js'

const ROUNDS = 40
const CLERKS = 4
const CHECK_MS = 30_000

/** Park and Miller's generator: the run can be told by its seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 0x7fff_ffff) / 0x7fff_ffff
}

class Faults {
  readonly done: string[] = []
  private readonly cluster: EmbeddedCluster
  private readonly random: () => number
  private readonly down = new Set<string>()
  private readonly paused = new Set<string>()

  constructor(cluster: EmbeddedCluster, random: () => number) {
    this.cluster = cluster
    this.random = random
  }

  /** One fault, for a while, or one that ends. */
  async round(): Promise<void> {
    await this.fault(this.pick(this.cluster.ids))
    await pause(this.random() * 300)
    if (this.random() < 0.6) await this.mend()
  }

  async mend(): Promise<void> {
    for (const id of this.down) await this.cluster.restart(id)
    for (const id of this.paused) await this.cluster.resume(id)
    this.down.clear()
    this.paused.clear()
    await this.cluster.heal()
  }

  private async fault(id: string): Promise<void> {
    const { cluster } = this
    const isUp = !this.down.has(id) && !this.paused.has(id)
    const kind = this.random()
    if (kind < 0.3 && isUp) {
      this.done.push(`crash ${id}`)
      this.down.add(id)
      await cluster.crash(id)
    } else if (kind < 0.5 && isUp) {
      this.done.push(`pause ${id}`)
      this.paused.add(id)
      await cluster.pause(id)
    } else if (kind < 0.75) {
      const side = cluster.ids.filter((other) => other === id || this.random() < 0.2)
      const rest = cluster.ids.filter((other) => !side.includes(other))
      this.done.push(`partition ${side.join()}`)
      if (rest.length > 0) await cluster.partition(side, rest)
    } else await this.change()
  }

  /** May be refused, or have no answer while its servers are down. */
  private async change(): Promise<void> {
    const replicas = this.cluster.ids.filter((id) => id.startsWith('r'))
    const to = replicas.filter(() => this.random() < 0.7)
    this.done.push(`reconfigure ${to.join()}`)
    const handover = this.random() < 0.3
    const asked = handover ? this.cluster.handover(this.pick(replicas)) : this.cluster.reconfigure(to)
    const settled = asked.catch((error: unknown) => {
      if (!(error instanceof CoppiceError)) throw error
    })
    await Promise.race([settled, pause(500)])
  }

  private pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!
  }
}

async function run(seed: number, storage: string): Promise<void> {
  const lines: string[] = []
  const onLog = ({ server, level, text, fields }: EmbeddedLogLine): void => {
    if (level !== 'debug') lines.push(`${performance.now().toFixed(0)} ${server} ${text} ${JSON.stringify(fields)}`)
  }
  const cluster = await startEmbedded({ replicas: 3, spares: 1, configServers: 3, storage, listen: true, onLog })
  const { servers } = await cluster.status()
  const addresses = servers.filter(({ kind }) => kind === 'replica').map(({ said }) => said!.address)
  const readers = addresses.map((address) => new PinnedReader(address))
  const timeout = '60s'
  const clerks = await Promise.all(Array.from({ length: CLERKS }, () => cluster.connect({ timeout })))
  const load = new Load(await cluster.connect({ timeout }), 'load', 12)
  const recorder = new Recorder()
  const keys = ['a', 'b', 'c']
  let done = false
  const stopped = (): boolean => done
  const recorded = [
    ...clerks.map((db) => recorder.client(db, keys, stopped)),
    ...readers.map((reader) => recorder.pinned(reader, keys, stopped, () => pause(3))),
  ]
  const faults = new Faults(cluster, randomOf(seed))
  for (let round = 0; round < ROUNDS; round++) await faults.round()
  await faults.mend()
  try {
    await until('whole group', () => cluster.reconfigure(['r1', 'r2', 'r3']))
  } catch (error) {
    const status = JSON.stringify(await cluster.status())
    throw new Error(`seed ${seed}: ${faults.done.join('; ')}\n${status}\n${lines.slice(-60).join('\n')}`, {
      cause: error,
    })
  }
  await load.moreWrites(20)
  done = true
  for (const reader of readers) reader.close()
  await Promise.all(recorded)
  await load.finish()
  const deadline = performance.now() + CHECK_MS
  const result = checkHistory(parseHistory(recorder.text), { budget: () => performance.now() < deadline })
  const { epoch } = await cluster.status()
  const answered = readers.reduce((sum, reader) => sum + reader.answered, 0)
  console.log(
    `seed ${seed}, ${storage === 'memory' ? storage : 'directories'}: ${faults.done.length} faults, ${epoch} epochs, ` +
      `${recorder.events.length / 2} operations recorded, ${answered} pinned reads, ${load.writes} counted writes: ${result.verdict}`,
  )
  if (result.verdict === 'illegal') {
    const file = join(mkdtempSync(join(tmpdir(), 'coppice-history-')), `embedded-${seed}.jsonl`)
    writeFileSync(file, recorder.text)
    throw new Error(`${result.message}\nseed ${seed}: ${faults.done.join('; ')}\nkept in ${file}`)
  }
  expect(epoch).toBeGreaterThan(1)
  await cluster.close()
}

test.each([101, 102, 103])('randomFaults_inMemory_seed%i_historyIsLinearizable', (seed) => run(seed, 'memory'))

test('randomFaults_withTheStoresOfProduction_historyIsLinearizable', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-embedded-'))
  await run(201, dir)
  rmSync(dir, { recursive: true })
})
