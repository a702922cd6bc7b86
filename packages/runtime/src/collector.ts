// How often the garbage collector of a server process looks at everything. A server has few objects and much memory in byte arrays: V8 counts
// those that come and go with every frame against the few objects, and would mark them all every 30 MiB, several times a second under load.
import { setFlagsFromString } from 'node:v8'

/** What may come anew before the next time, in percent of the objects that are alive (20–30 MiB in a server). */
const GROWING_PERCENT = 300

/** For a process that is nothing but a server: it sets the collector of the whole process. */
export function tuneCollector(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`)
}
