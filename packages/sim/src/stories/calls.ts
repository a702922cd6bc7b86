// Stories of calls: lost replies, repeated requests, sessions that expire (PROTOCOL 6).
import { DEFAULT_PARAMS } from '@coppice/protocol'
import { START_MS, story } from './tell.js'
import type { Story } from './tell.js'

export const CALL_STORIES: readonly Story[] = [
  // Nobody calls for longer than the clerks' TTL; the next calls must say so and not run twice.
  story(
    'sessions-expire',
    (c) => {
      for (let time = START_MS; time < 9_000; time += 300) c.kernel.at(time, () => c.workload?.pauseSomeClient(3_500))
    },
    { params: { ...DEFAULT_PARAMS, clerkTtlMs: 2_000 } },
  ),
  // Replies are lost again and again, so clerks repeat what was executed.
  story('replies-lost', (c, n) => {
    for (let time = START_MS; time < 8_500; time += 40) c.kernel.at(time, () => n.inject('resetLink'))
  }),
  story('replies-lost-in-failovers', (c, n) => {
    for (let time = START_MS; time < 8_500; time += 60) c.kernel.at(time, () => n.inject('resetLink'))
    for (let time = START_MS; time < 8_500; time += 1_900) c.kernel.at(time, () => n.inject('crashPrimary'))
  }),
]
