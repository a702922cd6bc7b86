// A directed story about comparing states: records come late and out of order, writers write all the time, somebody compares.
import { scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

export const VERIFY_STORIES: readonly Story[] = [
  scripted(
    'verified-while-written',
    async (s) => {
      await s.until(() => s.w.verifiers.compared >= 8)
    },
    { clients: 6, thinkMs: 2, keys: 6, fifo: false, latencyMs: 2.5, diskMs: 2.5, verifier: true },
  ),
]
