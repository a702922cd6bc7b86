// Names of the config servers that a server is told of by address alone: those that answer say who they are, and who else there is. Some of
// the addresses may be of config servers that were replaced since somebody wrote them down.
import { readdirSync } from 'node:fs'
import type { AdminClient } from '@coppice/clerk'
import { ASK_MS } from './ask-server.js'
import { addressOption, namedAddress } from './options.js'

export interface NamedServer {
  readonly id: string
  readonly address: string
}

const FIND_TIMEOUT_MS = 60_000
/** A server whose store knows the config servers need not find one before it starts. */
const FIND_WITH_STORE_MS = 3_000
const PAUSE_MS = 300

/**
 * Config servers with their ids. `given`: HOST:PORT or ID=HOST:PORT each. Waits until one of them knows the others, or all have answered: in a
 * new cluster they may still be starting. With a store in `dataDir` that is no condition.
 */
export async function findConfigServers(
  given: readonly string[],
  group: string,
  dataDir: string,
): Promise<readonly NamedServer[]> {
  if (given.every((entry) => entry.includes('='))) return given.map(namedAddress)
  const { connectAdmin } = await import('@coppice/clerk')
  const addresses = given.map((entry) => addressOption(entry.slice(entry.indexOf('=') + 1)))
  const admin = connectAdmin(addresses, { group, timeout: ASK_MS })
  const hasStore = filesIn(dataDir) > 0
  const deadline = performance.now() + (hasStore ? FIND_WITH_STORE_MS : FIND_TIMEOUT_MS)
  try {
    for (;;) {
      const answers = await Promise.allSettled(addresses.map((address) => idOf(admin, address)))
      const found = answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))
      if (found.length === addresses.length) return found
      const chosen = found.length === 0 ? [] : await chosenServers(admin)
      if (chosen.length > 0) return chosen
      if (performance.now() > deadline) {
        if (hasStore) return found
        throw (answers.find((a) => a.status === 'rejected') as PromiseRejectedResult).reason
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  } finally {
    admin.close()
  }
}

async function idOf(admin: AdminClient, address: string): Promise<NamedServer> {
  return { id: (await admin.status(address, 'config', { timeout: ASK_MS })).id, address }
}

/** As the register has them; none when nothing is chosen yet. */
async function chosenServers(admin: AdminClient): Promise<readonly NamedServer[]> {
  const configuration = await admin.getConfig().catch(() => undefined)
  return (configuration?.configServers ?? []).map(({ id, address }) => ({ id, address }))
}

function filesIn(dir: string): number {
  try {
    return readdirSync(dir).length
  } catch {
    // Not there yet: made when the server starts.
    return 0
  }
}
