// Appends records to a file and syncs each to disk, at given instants, so that several such processes do it at the same time: the least
// that a durable write on that many machines' disks could take, were it free otherwise. Arguments: FILE BYTES BEGIN EVERY_MS COUNT
import { fdatasyncSync, openSync, writeSync } from 'node:fs'

const [, , file, bytes, begin, everyMs, count] = process.argv
const record = Buffer.alloc(Number(bytes), 'r')
const fd = openSync(file!, 'w')
const nobody = new Int32Array(new SharedArrayBuffer(4))
const took: number[] = []
for (let i = 0; i < Number(count); i++) {
  const instant = Number(begin) + i * Number(everyMs) - performance.timeOrigin
  const waitMs = instant - performance.now()
  // Finer than timers, and without spinning.
  if (waitMs > 0) Atomics.wait(nobody, 0, 0, waitMs)
  const begun = performance.now()
  writeSync(fd, record)
  fdatasyncSync(fd)
  took.push(performance.now() - begun)
}
process.send!(took)
process.disconnect()
