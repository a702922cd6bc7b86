// A vkv replica whose disk can be made to hang: `node hanging-replica.mjs --id --data --listen --config ID=HOST:PORT,… [--group]
// [--advertise]`. Runs the built packages. SIGUSR2 makes every later write wait for ever (and reads behind it); a second SIGUSR2 lets the
// held writes go on. The process, its links and its clock go on all the while: what a primary with a stuck fdatasync looks like.
import { parseArgs } from 'node:util'
import { createLogger, onShutdownSignals } from '@coppice/runtime/server'
import { startVkvReplica } from '@coppice/vkv/server'

/** Holds writes back while `hanging`; everything else goes straight to the storage. */
class HangingStorage {
  hanging = false
  #held = []
  #inner

  constructor(inner) {
    this.#inner = inner
  }
  get path() {
    return this.#inner.path
  }
  get meta() {
    return this.#inner.meta
  }
  set onWritten(run) {
    this.#inner.onWritten = run
  }
  set onFailed(run) {
    this.#inner.onFailed = run
  }
  write(token, writes) {
    if (this.hanging) this.#held.push([token, writes])
    else this.#inner.write(token, writes)
  }
  readLog(from, to, maxBytes) {
    return this.hanging ? new Promise(() => undefined) : this.#inner.readLog(from, to, maxBytes)
  }
  readSnapshot(snapshotId, chunk) {
    return this.hanging ? new Promise(() => undefined) : this.#inner.readSnapshot(snapshotId, chunk)
  }
  drained() {
    return this.hanging ? new Promise(() => undefined) : this.#inner.drained()
  }
  get unfinished() {
    return this.#inner.unfinished
  }
  recover(sink, known, onProgress) {
    return this.#inner.recover(sink, known, onProgress)
  }
  close() {
    return this.#inner.close()
  }
  abandon() {
    return this.#inner.abandon()
  }
  toggle() {
    this.hanging = !this.hanging
    if (!this.hanging) for (const [token, writes] of this.#held.splice(0)) this.#inner.write(token, writes)
  }
}

const { values } = parseArgs({
  options: {
    id: { type: 'string' },
    data: { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:0' },
    advertise: { type: 'string' },
    config: { type: 'string' },
    group: { type: 'string', default: 'main' },
  },
})
const { id, data, listen, advertise, group } = values
const configServers = values.config.split(',').map((entry) => {
  const [name, address] = entry.split('=')
  return { id: name, address }
})

let disk
const replica = await startVkvReplica({
  dataDir: data,
  id,
  group,
  listen,
  ...(advertise === undefined ? {} : { advertise }),
  configServers,
  logger: createLogger({ id, role: 'replica', group }),
  storage: (opened) => (disk = new HangingStorage(opened)),
})
process.on('SIGUSR2', () => {
  disk.toggle()
  process.stdout.write(disk.hanging ? 'hanging\n' : 'released\n')
})
onShutdownSignals(() => replica.stop())
process.stdout.write(`ready ${replica.address}\n`)
const { exitCode } = await replica.stopped
// An orderly stop ends with the signal's own handler.
if (exitCode !== 0) process.exit(exitCode)
