// A transaction as a file (coppice txn): JSON, checked by zod; a mistake names its place.
import { z } from 'zod'
import { CliError, EXIT } from '../base/exit.js'
import { durationSchema } from '../base/settings.js'

const key = z.string().min(1)
const version = z.int().min(0)
const text = { value: z.string().optional(), valueBase64: z.base64().optional() }
const isOneValue = (part: { value?: string | undefined; valueBase64?: string | undefined }): boolean =>
  (part.value === undefined) !== (part.valueBase64 === undefined)

const condition = z
  .strictObject({
    key,
    exists: z.boolean().optional(),
    version: version.optional(),
    versionNot: version.optional(),
    versionBelow: version.optional(),
    versionAbove: version.optional(),
    valueNot: z.string().optional(),
    ...text,
  })
  .refine((part) => Object.keys(part).length > 1, 'says nothing of its key')
  .refine((part) => part.value === undefined || part.valueBase64 === undefined, 'has two values')
const lifetime = { ttl: durationSchema.optional(), session: z.int().min(1).optional() }
const put = z
  .strictObject({ put: key, ...text, ...lifetime })
  .refine(isOneValue, 'needs either "value" or "valueBase64"')
const step = z.union([put, z.strictObject({ delete: key }), z.strictObject({ get: key })], {
  error:
    'must be {"put": KEY, "value": TEXT} with a "ttl" such as "5m" or a "session" (an id) if need be, {"delete": KEY} or {"get": KEY}',
})
const script = z.strictObject({
  idempotencyKey: z.string().min(1).optional(),
  idempotencyTtl: durationSchema.optional(),
  if: z.array(condition).default([]),
  // A list is called by nobody, so no `await` takes the script for a promise.
  // oxlint-disable-next-line unicorn/no-thenable
  then: z.array(step).default([]),
  else: z.array(step).default([]),
})

export type TxnScript = z.output<typeof script>
export type TxnStep = z.output<typeof step>

/** Throws a usage error that names what is wrong. `name`: of the file, for the error. */
export function parseTxnScript(source: string, name: string): TxnScript {
  let json: unknown
  try {
    json = JSON.parse(source)
  } catch (error) {
    throw new CliError(EXIT.usage, `${name} is not JSON: ${(error as Error).message}`)
  }
  const parsed = script.safeParse(json)
  if (!parsed.success) throw new CliError(EXIT.usage, `${name}: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}

export function bytesOfValue(part: { value?: string | undefined; valueBase64?: string | undefined }): Buffer {
  return part.value === undefined ? Buffer.from(part.valueBase64!, 'base64') : Buffer.from(part.value)
}
