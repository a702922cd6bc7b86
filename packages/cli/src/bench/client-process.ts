// A client process of a benchmark: connects, loads its part of the keys, and when told so runs its part of the workload.
import { exitCodeOf, messageOf } from '../base/exit.js'
import { closedLoop } from './closed-loop.js'
import { Dataset } from './dataset.js'
import { load } from './load.js'
import { openLoop } from './open-loop.js'
import type { Bench } from './perform.js'
import { Random } from './random.js'
import { Recorder } from './recorder.js'
import { shareOf } from './spec.js'
import type { ClientSpec, FromClient, ToClient } from './spec.js'
import type { OpenStore, Store } from './store.js'
import { Workload } from './workload.js'

const SECOND_MS = 1_000

process.once('disconnect', () => process.exit(0))
process.on('message', (message: ToClient) => {
  const work = message.kind === 'prepare' ? prepare(message.spec) : run()
  work.catch((error: unknown) => {
    tell({ kind: 'failed', message: messageOf(error), exitCode: exitCodeOf(error) })
  })
})

let spec: ClientSpec
let stores: readonly Store[]

async function prepare(given: ClientSpec): Promise<void> {
  spec = given
  const { store, clerks, keys, valueBytes, client, clients } = spec
  const dataset = new Dataset(spec)
  const { openStore } = (await import(store.module)) as { openStore: OpenStore<unknown> }
  const open = (_: unknown, i: number): Promise<Store> => openStore(store.options, dataset, client * clerks + i)
  stores = await Promise.all(Array.from({ length: clerks }, open))
  const begun = performance.now()
  const loaded = spec.load ? await load(stores, { keys, valueBytes, client, clients }) : 0
  tell({ kind: 'ready', loaded, loadMs: performance.now() - begun })
}

async function run(): Promise<void> {
  const { arrival, warmupMs, measureMs, clients, client, seed } = spec
  const from = performance.now() + warmupMs
  const recorder = new Recorder({ from, until: from + measureMs })
  const bench: Bench = { workload: new Workload(spec), recorder, stores, now: () => performance.now() }
  const windowEnded = tellAlong(recorder)
  if (arrival.kind === 'closed') await closedLoop(bench, shareOf(arrival.callers, clients, client))
  else {
    await openLoop(bench, {
      rate: arrival.rate / clients,
      poisson: arrival.poisson ? new Random(seed + clients + client) : undefined,
      maxOutstanding: shareOf(arrival.maxOutstanding, clients, client),
      after: (ms, then) => setTimeout(then, ms),
    })
  }
  await windowEnded
  tell({ kind: 'result', data: recorder.data() })
  await Promise.all(stores.map((store) => store.close()))
  tell({ kind: 'closed' })
}

// Tells when the window begins and ends, and in between how far it is.
async function tellAlong(recorder: Recorder): Promise<void> {
  const { from, until } = recorder.window
  await untilTime(from)
  tell({ kind: 'begun' })
  const cpu = process.cpuUsage()
  const timer = setInterval(() => tell({ kind: 'progress', operations: recorder.operations }), SECOND_MS)
  await untilTime(until)
  clearInterval(timer)
  const { user, system } = process.cpuUsage(cpu)
  tell({ kind: 'ended', cpuMs: (user + system) / 1_000 })
}

function untilTime(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time - performance.now()))
}

function tell(message: FromClient): void {
  if (process.connected) process.send!(message)
}
