// What every program here is run in: what it started is stopped in reverse order, however it ends, also by Ctrl-C.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** Registers something to be undone at the end. */
export type AtEnd = (undo: () => Promise<void> | void) => void

const INTERRUPTED = 130

/** Wrong options: said without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export async function runTool(work: (atEnd: AtEnd) => Promise<void>): Promise<void> {
  const undos: (() => Promise<void> | void)[] = []
  let interrupted = false
  const undoAll = async (): Promise<void> => {
    for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
      try {
        await undo()
      } catch (error) {
        note(`at the end: ${(error as Error).message}`)
      }
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second one does not wait.
      if (interrupted) process.exit(INTERRUPTED)
      interrupted = true
      note('stopping …')
      void undoAll().then(() => process.exit(INTERRUPTED))
    })
  }
  try {
    await work((undo) => undos.push(undo))
  } catch (error) {
    process.exitCode = 1
    // What was running when the user interrupted fails of course.
    if (!interrupted) note(error instanceof UsageError ? error.message : String((error as Error).stack ?? error))
  }
  if (!interrupted) await undoAll()
}

/** A directory of its own, gone at the end. */
export function tempDir(atEnd: AtEnd, parent: string = tmpdir()): string {
  const dir = mkdtempSync(join(parent, 'coppice-bench-'))
  atEnd(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
  return dir
}

/**
 * Text options by name, all with a default; prints the help and ends for --help. `positional` names the one argument that is no option.
 */
export function optionsOf<T extends Readonly<Record<string, string>>>(
  help: string,
  defaults: T,
  positional?: string,
): Record<keyof T, string> {
  try {
    const texts = Object.entries(defaults).map(([name, value]) => [name, { type: 'string' as const, default: value }])
    const { values, positionals } = parseArgs({
      options: {
        ...(Object.fromEntries(texts) as Record<string, { type: 'string'; default: string }>),
        help: { type: 'boolean', short: 'h', default: false },
        output: { type: 'string', short: 'o', default: 'table' },
      },
      allowPositionals: positional !== undefined,
    })
    if (!values.help) {
      if (positional === undefined) return values as unknown as Record<keyof T, string>
      if (positionals.length !== 1)
        throw new Error(`${positional.toUpperCase()} is needed, and nothing else beside options`)
      return { ...values, [positional]: positionals[0]! } as unknown as Record<keyof T, string>
    }
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${help}`)
  }
  process.stdout.write(`${help}\n`)
  process.exit(0)
}

/** Numbers of "64,256". */
export function numbersOf(name: string, text: string, least = 1): number[] {
  return text.split(',').map((part) => {
    const value = Number(part)
    if (Number.isInteger(value) && value >= least && part.trim() !== '') return value
    throw new UsageError(`--${name}: "${part}" is not a whole number of at least ${least}`)
  })
}

export function numberOf(name: string, text: string, least = 1): number {
  return numbersOf(name, text.includes(',') ? 'one number' : text, least)[0]!
}

/** Those of "a,b" that are known; refuses others. */
export function namesOf<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((part) => {
    const found = known.find((each) => each === part.trim())
    if (found !== undefined) return found
    throw new UsageError(`--${name}: "${part}" is none of ${known.join(', ')}`)
  })
}

/** One line for the user, not data. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}
