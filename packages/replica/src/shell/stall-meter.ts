// The longest time the event loop stood still while a snapshot was captured (PROTOCOL 7: never over 20 ms), told with the event that
// ends the capture. Beside the time on the clock it tells how much of it this process was computing at all: on a busy machine the
// rest is other processes' turn.
import type { EventName, Millis } from '@coppice/protocol'
import { clearInterval, monotonicMs, setInterval, type Timer } from '@coppice/runtime'
import type { LogFields } from '@coppice/runtime/server'

const EVERY_MS = 5

export class StallMeter {
  private timer: Timer | undefined
  private at: Millis = 0
  private cpu = process.cpuUsage()
  private longestStallMs = 0
  private longestStallCpuMs = 0

  /** The fields of an event, with the longest stall when it ends a snapshot. */
  onEvent(name: EventName, fields: LogFields): LogFields {
    if (name === 'snapshotBegun') this.begin()
    else if (name === 'snapshotCommitted' || name === 'snapshotDiscarded') return this.end(fields)
    return fields
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private begin(): void {
    this.stop()
    this.longestStallMs = 0
    this.longestStallCpuMs = 0
    this.at = monotonicMs()
    this.cpu = process.cpuUsage()
    this.timer = setInterval(() => this.sample(), EVERY_MS)
    this.timer.unref()
  }

  private end(fields: LogFields): LogFields {
    if (this.timer === undefined) return fields
    this.sample()
    this.stop()
    const { longestStallMs, longestStallCpuMs } = this
    return { ...fields, longestStallMs: tenths(longestStallMs), longestStallCpuMs: tenths(longestStallCpuMs) }
  }

  private sample(): void {
    const now = monotonicMs()
    const { user, system } = process.cpuUsage(this.cpu)
    const stall = now - this.at - EVERY_MS
    // All threads of the process together, so this errs upwards.
    const cpu = Math.min(stall, (user + system) / 1000)
    if (stall > this.longestStallMs) this.longestStallMs = stall
    if (cpu > this.longestStallCpuMs) this.longestStallCpuMs = cpu
    this.at = now
    this.cpu = process.cpuUsage()
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}
