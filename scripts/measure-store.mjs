// What the replica's store does on this disk: records and bytes per second with group commit, against bare lmdb puts, and the stall of
// the event loop and the sweep after a big cut. Needs a build.   node scripts/measure-store.mjs [--seconds N]
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { sealRecord, RECORD_HEADER_BYTES } from '@coppice/protocol'
import { openReplicaStore } from '@coppice/replica/server'
import { nodeBytes } from '@coppice/runtime'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '1' } } })
const FOR_MS = Number(values.seconds) * 1_000
/** lmdb belongs to the runtime package; bare puts are measured with the very same one. */
const { open } = createRequire(new URL('../packages/runtime/package.json', import.meta.url))('lmdb')
const dir = mkdtempSync(join(tmpdir(), 'coppice-measure-'))

function recordOf(firstIndex, payload, entries) {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + payload)
  sealRecord(bytes, { epoch: 1, firstIndex, entries, elapsedMs: 0 }, nodeBytes.crc32)
  return { kind: 'record', firstIndex, entries, bytes }
}

function report(what, size, count, ms, cpu) {
  const perSecond = (count / ms) * 1_000
  const cells = [
    what.padEnd(34),
    `${size} B`.padStart(10),
    `${Math.round(perSecond)} records/s`.padStart(18),
    `${((perSecond * size) / 1e6).toFixed(1)} MB/s`.padStart(12),
    `${((cpu.user + cpu.system) / count).toFixed(0)} µs CPU each`.padStart(18),
  ]
  console.log(cells.join(''))
}

/** Keeps `ahead` effects queued: 1 waits for each record, more lets them share commits. */
async function throughStore(payload, ahead) {
  const path = join(dir, `s${payload}-${ahead}`)
  const store = await openReplicaStore(path, { id: 'm1', group: 'main' })
  const cpu = process.cpuUsage()
  const begun = performance.now()
  let next = 1
  let done = 0
  await new Promise((resolve) => {
    const more = () => store.write(0, [recordOf(next++, payload, 1)])
    store.onWritten = () => {
      done++
      if (performance.now() - begun < FOR_MS) more()
      else if (done === next - 1) resolve()
    }
    store.onFailed = (reason) => {
      throw new Error(reason)
    }
    for (let i = 0; i < ahead; i++) more()
  })
  report(`store, ${ahead} ahead`, payload, done, performance.now() - begun, process.cpuUsage(cpu))
  await store.close()
  rmSync(path, { recursive: true })
}

async function bareLmdb(payload, overlappingSync) {
  const path = join(dir, `l${payload}-${overlappingSync}.lmdb`)
  const db = open({ path, encoding: 'binary', overlappingSync, cache: false })
  const cpu = process.cpuUsage()
  const begun = performance.now()
  let n = 0
  while (performance.now() - begun < FOR_MS) {
    const { bytes } = recordOf(++n, payload, 1)
    const put = db.put(n, bytes)
    if (overlappingSync) await db.flushed
    await put
  }
  report(
    overlappingSync ? 'bare lmdb, put + flushed' : 'bare lmdb, put (no overlapping)',
    payload,
    n,
    performance.now() - begun,
    process.cpuUsage(cpu),
  )
  await db.close()
  rmSync(path)
}

async function bigCut(records) {
  const path = join(dir, 'cut')
  const store = await openReplicaStore(path, { id: 'm1', group: 'main' })
  let resolveAt = () => undefined
  store.onWritten = () => resolveAt()
  const write = (...writes) =>
    new Promise((resolve) => {
      resolveAt = resolve
      store.write(0, writes)
    })
  for (let i = 1; i <= records; i += 1_000) {
    await write(...Array.from({ length: 1_000 }, (_, n) => recordOf(i + n, 100, 1)))
  }
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  const begun = performance.now()
  const header = { snapshotId: 's', index: records, lineage: [], chunks: 0, totalBytes: 0, digest: '' }
  await write({ kind: 'snapshotCommit', header }, { kind: 'cutPrefix', below: records - 10 })
  const cutMs = performance.now() - begun
  let longest = 0
  let n = 0
  for (let next = records + 1; store.sweeping; next++) {
    const at = performance.now()
    await write(recordOf(next, 100, 1))
    longest = Math.max(longest, performance.now() - at)
    n++
  }
  loop.disable()
  const ms = performance.now() - begun
  console.log(
    `cut of ${records} records: ${cutMs.toFixed(1)} ms; swept in ${ms.toFixed(0)} ms, meanwhile ${n} writes, ` +
      `the slowest ${longest.toFixed(1)} ms; longest stall of the event loop ${(loop.max / 1e6).toFixed(1)} ms`,
  )
  await store.close()
}

try {
  for (const payload of [100, 10_000, 100_000, 1_000_000]) {
    await bareLmdb(payload, true)
    await bareLmdb(payload, false)
    await throughStore(payload, 1)
    await throughStore(payload, 2)
    await throughStore(payload, 16)
  }
  await bigCut(300_000)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
