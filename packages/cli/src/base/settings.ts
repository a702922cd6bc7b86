// Settings: flags, then COPPICE_*, then ./coppice.json, then defaults. Whatever is wrong is named with the place it came from.
import { existsSync, readFileSync } from 'node:fs'
import { isName, MAX_ZONE_CHARS } from '@coppice/protocol'
import { z } from 'zod'
import { CliError, EXIT } from './exit.js'
import type { OutputFormat } from './output.js'

export const SETTINGS_FILE = 'coppice.json'
export const DEFAULT_DATA_DIR = './coppice-data'

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Milliseconds of "500ms", "10s", "2m", "1h", or a number of milliseconds. */
export function parseDuration(text: string | number): number | undefined {
  const match = DURATION.exec(String(text).trim())
  const ms = match === null ? 0 : Number(match[1]) * UNIT_MS[match[2] ?? 'ms']!
  return ms > 0 ? ms : undefined
}

/** A duration in a file, as milliseconds. */
export const durationSchema = z
  .union([z.number(), z.string()], 'must be a duration such as "500ms"')
  .transform((value, context) => {
    const ms = parseDuration(value)
    if (ms !== undefined) return ms
    context.addIssue({ code: 'custom', message: 'must be a duration such as "500ms", "10s" or "2m"' })
    return z.NEVER
  })
const addressesSchema = z
  .union([z.string().transform((text) => text.split(',').map((part) => part.trim())), z.array(z.string())])
  .pipe(z.array(z.string().min(1, 'an address is empty')).min(1))

const settingsSchema = z.strictObject({
  output: z.enum(['table', 'json'], 'must be table or json').optional(),
  timeout: durationSchema.optional(),
  config: addressesSchema.optional(),
  data: z.string().min(1).optional(),
  group: z.string().refine(isName, 'must be 1–64 of a–z 0–9 . _ -').optional(),
  zone: z.string().min(1, 'is empty').max(MAX_ZONE_CHARS, `must have at most ${MAX_ZONE_CHARS} characters`).optional(),
  token: z.string().max(255).optional(),
})
const FIELDS = Object.keys(settingsSchema.shape) as (keyof z.infer<typeof settingsSchema>)[]

export interface Settings {
  readonly output: OutputFormat
  /** Of each call; undefined: the verb's own. */
  readonly timeoutMs: number | undefined
  /** Addresses of config servers; undefined: those of the dev cluster in `data`. */
  readonly config: readonly string[] | undefined
  readonly data: string
  /** Whether `data` was given, rather than the default. */
  readonly dataGiven: boolean
  readonly group: string
  /** Where this process stands: a client reads there, a replica is registered there. */
  readonly zone: string | undefined
  readonly token: string | undefined
}

/** Merges the sources. Throws a usage error naming each wrong field. */
export function settingsOf(flags: Readonly<Record<string, unknown>>, env = process.env, cwd = process.cwd()): Settings {
  const named = Object.fromEntries(
    FIELDS.map((field) => [field, flags[field]]).filter(([, value]) => value !== undefined),
  )
  const fromEnv = Object.fromEntries(
    FIELDS.map((field) => [field, env[`COPPICE_${field.toUpperCase()}`]]).filter(
      ([, v]) => v !== undefined && v !== '',
    ),
  )
  const merged = {
    ...check(readFile(`${cwd}/${SETTINGS_FILE}`), `./${SETTINGS_FILE}`, (field) => field),
    ...check(fromEnv, 'environment', (field) => `COPPICE_${field.toUpperCase()}`),
    ...check(named, 'flags', (field) => `--${field}`),
  }
  return {
    output: merged.output ?? 'table',
    timeoutMs: merged.timeout,
    config: merged.config,
    data: merged.data ?? DEFAULT_DATA_DIR,
    dataGiven: merged.data !== undefined,
    group: merged.group ?? 'main',
    zone: merged.zone,
    token: merged.token,
  }
}

function readFile(path: string): unknown {
  if (!existsSync(path)) return {}
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const what = error instanceof SyntaxError ? 'not JSON' : 'cannot be read'
    throw new CliError(EXIT.usage, `./${SETTINGS_FILE}: ${what}: ${(error as Error).message}`)
  }
}

function check(value: unknown, source: string, nameOf: (field: string) => string): z.infer<typeof settingsSchema> {
  const parsed = settingsSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `unknown field "${key}"${similar(key)}; known: ${FIELDS.join(', ')}`)
    const field = issue.path.length === 0 ? '' : `${nameOf(issue.path.join('.'))}: `
    return [`${field}${issue.message}`]
  })
  throw new CliError(EXIT.usage, `${source}: ${problems.join('; ')}`)
}

// The known field that a misspelt one probably meant.
function similar(key: string): string {
  const letters = (text: string): string => [...text.toLowerCase()].sort().join('')
  const near = FIELDS.find((field) => letters(field) === letters(key) || field.startsWith(key) || key.startsWith(field))
  return near === undefined ? '' : ` (did you mean "${near}"?)`
}
