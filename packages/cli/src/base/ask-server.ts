// One server's word about itself. A server that says nothing is an answer, too: commands go on and tell of it.
import type { AdminClient } from '@coppice/clerk'
import type { ProcessStatus } from '@coppice/protocol'
import { messageOf } from './exit.js'

/** A server that runs answers within this. */
export const ASK_MS = 1_000

/** What a server says about itself, or why it says nothing. */
export type Answer = ProcessStatus | { readonly silence: string }

export function askServer(admin: AdminClient, kind: 'config' | 'replica', address: string): Promise<Answer> {
  return admin.status(address, kind, { timeout: ASK_MS }).catch((error: unknown) => ({ silence: messageOf(error) }))
}
