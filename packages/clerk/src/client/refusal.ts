// Which refusals of a server's hello are for good: no retry helps, so the user must read them by name.
import type { ErrorCode } from '@coppice/protocol'

/** The error code of a hello's refusal, or undefined when another attempt may succeed. */
export function lastingRefusal(refusal: string | undefined): ErrorCode | undefined {
  if (refusal === undefined) return undefined
  const name = refusal.toUpperCase()
  if (name.includes('VERSION')) return 'PROTOCOL_VERSION'
  if (name.includes('CLUSTER') || name.includes('GROUP')) return 'WRONG_CLUSTER'
  return undefined
}
