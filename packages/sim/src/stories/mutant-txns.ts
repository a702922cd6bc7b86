// Directed stories about transactions: clients that move amounts between the same few keys, from what they read a while ago.
import { scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

export const TXN_STORIES: readonly Story[] = [
  // Many writers of few keys, and readers that add them up.
  scripted(
    'moves-between-keys',
    async (s) => {
      await s.until(() => s.w.txns.refusals >= 8 && s.w.txns.moves >= 20 && s.w.txns.reads >= 60)
    },
    { txns: true },
  ),
]
