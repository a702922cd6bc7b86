// The longest time the event loop stood still while a snapshot was captured (PROTOCOL 7: never over 20 ms), told with the event
// that ends the capture.
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import type { EventName } from '@coppice/protocol'
import type { LogFields } from '@coppice/runtime/server'

const RESOLUTION_MS = 5
const NS_PER_MS = 1e6

export class StallMeter {
  private histogram: IntervalHistogram | undefined

  /** The fields of an event, with `longestStallMs` when it ends a snapshot. */
  onEvent(name: EventName, fields: LogFields): LogFields {
    if (name === 'snapshotBegun') this.begin()
    else if (name === 'snapshotCommitted' || name === 'snapshotDiscarded') return this.end(fields)
    return fields
  }

  stop(): void {
    this.histogram?.disable()
    this.histogram = undefined
  }

  private begin(): void {
    this.histogram ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.histogram.reset()
    this.histogram.enable()
  }

  private end(fields: LogFields): LogFields {
    if (this.histogram === undefined) return fields
    // The histogram holds whole delays between its timer's calls; what exceeds the interval is the stall.
    const longestStallMs = Math.max(0, Math.round((this.histogram.max / NS_PER_MS - RESOLUTION_MS) * 10) / 10)
    this.stop()
    return { ...fields, longestStallMs }
  }
}
