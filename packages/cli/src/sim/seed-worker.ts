// One thread of `coppice sim`: runs its share of the seeds.
import { parentPort, workerData } from 'node:worker_threads'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { runSeed } from '@coppice/sim'
import type { WorkerTask } from './run-seeds.js'

const { first, end, stride, forMs } = workerData as WorkerTask
const begun = performance.now()
for (let seed = first; seed < end && performance.now() - begun < forMs; seed += stride)
  parentPort!.postMessage(await runSeed(seed, { ports: { bytes: nodeBytes, text: nodeText }, quick: true }))
