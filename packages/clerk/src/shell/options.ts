// Options as users give them, checked once at the edge; a mistake names the field.
import { CLERK_WINDOW, CoppiceError, isName, MAX_ZONE_CHARS, type AbortSignalLike } from '@coppice/protocol'
import { z } from 'zod'
import { type Duration, durationMs } from '../client/duration.js'
import { isSignal } from '../client/failures.js'

const duration = z
  .union([z.number(), z.string()])
  .refine((value) => durationMs(value) !== undefined, 'must be a positive number of ms, or text such as "10s"')

const optionsSchema = z.strictObject({
  group: z.string().refine(isName, 'must be 1–64 of a–z 0–9 . _ -').optional(),
  timeout: duration.optional(),
  maxInFlight: z.number().int().min(1).max(CLERK_WINDOW).optional(),
  maxInFlightBytes: z.number().int().min(1).optional(),
  silence: duration.optional(),
  zone: z.string().min(1).max(MAX_ZONE_CHARS).optional(),
  token: z.string().max(255).optional(),
  signal: z.custom<AbortSignalLike>(isSignal, 'must be an AbortSignal').optional(),
})

/** Of a client over real sockets. What is wrong with them is thrown as INVALID_ARGUMENT, naming each field. */
export interface ConnectOptions {
  /** Overrides the group of the URL. Default `main`. */
  readonly group?: string | undefined
  /** Of each call, and of connecting. A number is milliseconds; default '10s'. */
  readonly timeout?: Duration | undefined
  /** Requests under way at once; the next call waits. Default 1,024, at most 4,096. */
  readonly maxInFlight?: number | undefined
  /** Bytes of them. Default 16 MiB. */
  readonly maxInFlightBytes?: number | undefined
  /** How long a server that owes answers may be silent before others are asked. Default '1s'. */
  readonly silence?: Duration | undefined
  /** Where this client stands, as servers are told by `--zone`: it reads at a replica there while one can answer. */
  readonly zone?: string | undefined
  /** Presented to every server. */
  readonly token?: string | undefined
  /** Ends the attempt to connect with an AbortError; afterwards it says nothing to the connection. */
  readonly signal?: AbortSignalLike | undefined
}

/** Throws INVALID_ARGUMENT naming each wrong field. */
export function checkOptions(options: ConnectOptions): void {
  const parsed = optionsSchema.safeParse(options)
  if (parsed.success) return
  const message = `connect options: ${z.prettifyError(parsed.error)}`
  throw new CoppiceError(message, { code: 'INVALID_ARGUMENT', outcome: 'not-applied', cause: parsed.error })
}
