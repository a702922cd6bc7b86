// Directed stories about servers that learn before they become members (PROTOCOL 2.2).
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

export const LEARN_STORIES: readonly Story[] = [
  // Who ships to a spare dies before the first byte has left: the spare joins all the same, though the dead one never returns.
  scripted(
    'source-of-a-learner-dies',
    async (s) => {
      const client = s.client('writer')
      await client.puts('x', 3)
      let dead = false
      s.hear((_from, to, message) => {
        if (dead || message.kind !== 'fetchLog') return
        dead = true
        s.crash(s.replica(to))
      })
      const [first, second] = s.members
      const spare = s.c.replicas.find((r) => !s.members.includes(r))!
      s.c.requestReconfiguration([first!, second!, spare])
      const joined = await s.until(() => s.members.includes(spare) && s.running(3), 4_000)
      check(joined, 'I10', () => 'the spare never joins')
      await client.puts('x', 2)
    },
    { spares: 1, healMs: 9_000 },
  ),
]
