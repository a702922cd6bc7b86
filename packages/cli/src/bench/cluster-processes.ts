// The server processes of a cluster that run on this machine: their CPU can be counted. Of others /proc tells nothing.
import { devCluster, withAdmin } from '../base/context.js'
import type { Settings } from '../base/settings.js'
import type { Watched } from './run.js'

const TIMEOUT_MS = 10_000
const ASK_MS = 1_000
const LOCAL = /^(127\.|localhost|\[::1\])/

export async function localProcesses(settings: Settings): Promise<Watched[]> {
  const dev = settings.config === undefined ? devCluster(settings) : undefined
  if (dev !== undefined) return [...dev.replicas, ...dev.configServers].filter(({ pid }) => pid > 0)
  return withAdmin(settings, TIMEOUT_MS, async (admin) => {
    const { state } = await admin.getGroup()
    const ask = (kind: 'replica' | 'config', servers: readonly { address: string }[]): Promise<Watched>[] =>
      servers
        .filter(({ address }) => LOCAL.test(address))
        .map(({ address }) => admin.status(address, kind, { timeout: ASK_MS }))
    const asked = await Promise.allSettled([...ask('replica', state.servers), ...ask('config', state.configServers)])
    return asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  })
}
