// An operator who compares the states of all members at one index while everything goes on (I9), as `coppice verify` does.
import { AdminClient } from '@coppice/clerk/core'
import { DEFAULT_GROUP } from '@coppice/protocol'
import type { ConfigState, Index } from '@coppice/protocol'
import type { ClientHost } from '../hosts/client-host.js'
import { check } from '../kernel/violation.js'
import { outcomeOf } from './calls.js'
import type { Workload } from './workload.js'

const TIMEOUT_MS = 2_000
const PAUSE_MS = 10

export class Verifiers {
  readonly #workload: Workload
  /** Times that all members of an epoch told their hashes at one index. */
  compared = 0

  constructor(workload: Workload) {
    this.#workload = workload
  }

  start(): void {
    const { cluster } = this.#workload
    const host = cluster.newClient('verifier')
    const options = {
      group: DEFAULT_GROUP,
      configServers: cluster.configs.map((c) => c.address),
      timeoutMs: TIMEOUT_MS,
    }
    const admin = new AdminClient(options, host.ports)
    this.#workload.task(host, async () => {
      while (!this.#workload.stopping) {
        try {
          await this.#verify(admin, host)
        } catch (error) {
          outcomeOf(error)
        }
        await host.sleep(host.random.exponential(300))
      }
      admin.close()
    })
  }

  async #verify(admin: AdminClient, host: ClientHost): Promise<void> {
    const { state } = await admin.getGroup()
    const [primary] = state.members
    if (primary === undefined) return
    const { index, state: begun } = await admin.hash(addressOf(state, primary), 0)
    if (begun === 'notPrimary') return
    const hashes: string[] = []
    for (const id of state.members) {
      const hash = await this.#hashAt(admin, host, addressOf(state, id), index)
      if (hash === undefined) return
      hashes.push(`${id} ${hash}`)
    }
    const values = new Set(hashes.map((each) => each.slice(each.indexOf(' '))))
    check(values.size === 1, 'I9', () => `states before entry ${index} differ: ${hashes.join(', ')}`)
    this.compared++
  }

  /** Undefined: it has none, or not soon. */
  async #hashAt(admin: AdminClient, host: ClientHost, address: string, index: Index): Promise<string | undefined> {
    for (let tries = 0; tries < 50 && !this.#workload.stopping; tries++) {
      const { state, hash } = await admin.hash(address, index)
      if (state === 'done') return hash
      if (state !== 'running') return undefined
      await host.sleep(PAUSE_MS)
    }
    return undefined
  }
}

function addressOf(state: ConfigState, id: string): string {
  return state.servers.find((server) => server.id === id)!.address
}
