// JSON values that a schema vouches for. The schema is the user's, zod's or anything with `parse`; none is loaded here.
import type { TextPort } from '@coppice/protocol'
import type { Codec } from './codecs.js'
import { checkFunction, invalid } from './codecs.js'
import { ValueProblem, type ValuePath } from './invalid-value.js'

/**
 * What checks a value that came out of JSON: answers the value to use, or throws (`parse`), or says what is wrong (`safeParse`, preferred).
 * A zod schema is one.
 */
export interface Schema<T> {
  parse(value: unknown): T
  safeParse?(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error?: unknown; readonly data?: undefined }
}

/**
 * JSON that the schema accepts. A value is written only if its JSON form, read again, passes: whatever was written through the same schema can be
 * read.
 */
export function schemaCodec<T>(schema: Schema<T>, text: TextPort): Codec<T> {
  const given = schema as Schema<T> | undefined
  if (given?.safeParse === undefined) checkFunction(given?.parse, "typed: the schema's parse")
  return {
    encode: (value) => {
      const json: string | undefined = JSON.stringify(value)
      if (json === undefined) throw invalid('value has no JSON form')
      check(schema, JSON.parse(json))
      return text.encode(json)
    },
    decode: (bytes) => check(schema, JSON.parse(text.decode(bytes))),
  }
}

function check<T>(schema: Schema<T>, value: unknown): T {
  if (schema.safeParse === undefined) {
    try {
      return schema.parse(value)
    } catch (error) {
      throw problemOf(error)
    }
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw problemOf(result.error)
}

interface Issue {
  readonly path?: unknown
  readonly message?: unknown
}

/** The first issue of what a schema says, as zod and its like report them; else its words. */
function problemOf(error: unknown): ValueProblem {
  const issues = (error as { readonly issues?: unknown } | undefined)?.issues
  const first = (Array.isArray(issues) ? issues[0] : undefined) as Issue | undefined
  const path = Array.isArray(first?.path) ? pathOf(first.path) : []
  const said =
    typeof first?.message === 'string' ? first.message : error instanceof Error ? error.message : String(error)
  return new ValueProblem(said, path, error)
}

function pathOf(steps: readonly unknown[]): ValuePath {
  return steps.map((step) => (typeof step === 'number' ? step : String(step)))
}
