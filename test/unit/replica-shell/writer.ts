// Writes to the store in argv[2] until it is killed and prints the highest index it was told is durable, one a line.
import { writeSync } from 'node:fs'
import type { DiskWrite } from '@coppice/replica'
import { openReplicaStore } from '@coppice/replica/server'
import { recordOf } from './records.js'

const AHEAD = 6
const dir = process.argv[2]!
const store = await openReplicaStore(dir, { id: 'r1', group: 'main' })
let next = 1
const endByToken: number[] = []

function cutBehindSnapshot(index: number): DiskWrite[] {
  const header = { snapshotId: `s${index}`, index, lineage: [], chunks: 0, totalBytes: 0, digest: '' }
  return [
    { kind: 'snapshotCommit', header },
    { kind: 'cutPrefix', below: index - 40 },
  ]
}

function writeMore(): void {
  // Every size of effect, and a cut now and then, so that a kill meets all of them.
  const entries = 1 + (next % 5)
  const record = recordOf(next, entries, 20 + (next % 7) * 3_000)
  const cut = next > 40 && next % 11 === 0 ? cutBehindSnapshot(next) : []
  next += entries
  endByToken.push(next)
  store.write(endByToken.length - 1, [record, ...cut, { kind: 'meta', meta: { ...store.meta, claim: next } }])
}

store.onWritten = (token) => {
  writeSync(1, `${endByToken[token]}\n`)
  writeMore()
}
// As long as writes go on the process lives.
setInterval(() => undefined, 1_000)
for (let i = 0; i < AHEAD; i++) writeMore()
