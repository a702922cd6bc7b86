// Runs seeds of the simulator on two worker threads: `node scripts/sim.mjs --runs 20000`, or one with its transcript:
// `node scripts/sim.mjs --seed 17`. Exit code 1 and the seed on a violation, or when the seeds exercised too little.
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { nodeBytes, nodeText } from '../packages/runtime/dist/index.js'
import { EXPECTED_COVERAGE, runSeed } from '../packages/sim/dist/index.js'

const ports = { bytes: nodeBytes, text: nodeText }
if (isMainThread) process.exitCode = await main()
else await work()

async function work() {
  const { from, to, stride } = workerData
  for (let seed = from; seed < to; seed += stride) {
    const { transcript, ...result } = await runSeed(seed, { ports })
    parentPort.postMessage({ ...result, transcript: result.ok ? [] : transcript })
    // A turn of the event loop, so that the message leaves.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      runs: { type: 'string', default: '2000' },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
    },
  })
  if (values.seed !== undefined) return replay(Number(values.seed))
  const [from, runs, workers] = [Number(values.from), Number(values.runs), Number(values.workers)]
  const begun = performance.now()
  const totals = { runs: 0, steps: 0, simulatedMs: 0, epochs: 0, operations: 0, crashes: 0 }
  const covered = Object.fromEntries(EXPECTED_COVERAGE.map((name) => [name, 0]))
  const failed = []
  const report = (result) => {
    totals.runs++
    for (const key of ['steps', 'simulatedMs', 'epochs', 'operations', 'crashes']) totals[key] += result[key]
    for (const name of EXPECTED_COVERAGE) if (result.coverage[name] > 0) covered[name]++
    if (!result.ok) {
      failed.push(result)
      const { violation } = result
      console.log(
        `seed ${result.seed}: ${violation.message.split('\n')[0]} (step ${violation.step}, ${violation.timeMs.toFixed(1)} ms)`,
      )
    }
    if (totals.runs % 500 === 0)
      console.error(`${totals.runs} of ${runs} seeds, ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  }
  await Promise.all(
    Array.from({ length: workers }, (_, i) => runWorker({ from: from + i, to: from + runs, stride: workers }, report)),
  )
  const seconds = (performance.now() - begun) / 1000
  const hours = (totals.simulatedMs / 3_600_000).toFixed(1)
  console.log(
    `${totals.runs} seeds, ${hours} simulated hours, ${totals.steps} steps, ${totals.operations} operations, ` +
      `${(totals.epochs / totals.runs).toFixed(1)} epochs and ${(totals.crashes / totals.runs).toFixed(1)} crashes a run, ${seconds.toFixed(0)} s`,
  )
  console.log('seeds in which it occurred:')
  for (const name of EXPECTED_COVERAGE) console.log(`  ${name.padEnd(20)} ${covered[name]}`)
  const blind = runs < 300 ? [] : EXPECTED_COVERAGE.filter((name) => covered[name] === 0)
  if (blind.length > 0) console.log(`the seeds never exercised: ${blind.join(', ')}`)
  if (failed.length > 0) {
    const first = failed.sort((a, b) => a.seed - b.seed)[0]
    console.log(
      `${failed.length} seeds failed; the first is ${first.seed}. Replay: node scripts/sim.mjs --seed ${first.seed}`,
    )
  }
  return failed.length > 0 || blind.length > 0 ? 1 : 0
}

function runWorker(data, report) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    worker.on('message', report)
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`worker ended with ${code}`))))
  })
}

async function replay(seed) {
  const result = await runSeed(seed, { ports, trace: true })
  for (const line of result.transcript) console.log(line)
  const { violation } = result
  console.log(
    `seed ${seed}: ${result.ok ? 'no violation' : violation.message}; ${result.steps} steps, ${(result.simulatedMs / 1000).toFixed(1)} s simulated, ` +
      `${result.epochs} epochs, ${result.operations} operations, ${result.crashes} crashes`,
  )
  for (const name of EXPECTED_COVERAGE) console.log(`  ${name.padEnd(20)} ${result.coverage[name]}`)
  return result.ok ? 0 : 1
}
