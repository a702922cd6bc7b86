// Many seeds on several threads: each takes every n-th seed and reports results as they come.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { RunResult } from '@coppice/sim'

export interface SeedRange {
  readonly from: number
  readonly runs: number
  readonly untilMs: number | undefined
}

/** What a worker gets. */
export interface WorkerTask {
  readonly first: number
  readonly end: number
  readonly stride: number
  readonly forMs: number
}

const MAX_WORKERS = 8

export async function runSeeds({ from, runs, untilMs }: SeedRange, report: (result: RunResult) => void): Promise<void> {
  const stride = Math.min(availableParallelism(), MAX_WORKERS, runs)
  const end = from + runs
  const tasks = Array.from({ length: stride }, (_, i) => ({ first: from + i, end, stride, forMs: untilMs ?? Infinity }))
  await Promise.all(tasks.map((task) => runWorker(task, report)))
}

function runWorker(task: WorkerTask, report: (result: RunResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./seed-worker.js', import.meta.url), { workerData: task })
    worker.on('message', report)
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))))
  })
}
