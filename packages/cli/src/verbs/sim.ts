// coppice sim: the production cores in a simulated world, from one seed.
import { existsSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { RunResult } from '@coppice/sim'
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption, durationOption } from '../base/options.js'
import { note, print, printJson, Progress } from '../base/output.js'
import { runSeeds } from '../sim/run-seeds.js'

const DEFAULT_RUNS = 100
/** Mutants are patches of a built checkout. */
const MUTANTS_SCRIPT = fileURLToPath(new URL('../../../../scripts/mutants.mjs', import.meta.url))

interface SimFlags {
  readonly seed?: number
  readonly runs?: number
  readonly until?: number
  readonly mutants?: boolean
}

export function addSim(program: Command): void {
  program
    .command('sim')
    .description('run the production code under simulated crashes, partitions, clocks and disks')
    .option('--seed <n>', 'one seed, with its transcript; with --runs the first of many', countOption(0))
    .option('--runs <n>', `seeds to run (default ${DEFAULT_RUNS})`, countOption(1))
    .option('--until <duration>', 'stop after this time, however many seeds ran', durationOption)
    .option('--mutants', 'switch off one rule of the protocol at a time; each must be caught (source checkout only)')
    .addHelpText(
      'after',
      `
Exit code 1 and the seed on a violation, or the name of a mutant that survives.

Examples:
  coppice sim --seed 17
  coppice sim --runs 20000
  coppice sim --mutants`,
    )
    .action(async (_flags, command: Command) => {
      const flags = command.opts<SimFlags>()
      const json = settingsFor(command).output === 'json'
      if (flags.mutants === true) process.exitCode = await runMutants(json)
      else if (flags.seed !== undefined && flags.runs === undefined) process.exitCode = await replay(flags.seed, json)
      else process.exitCode = await runMany(flags, json)
    })
}

async function replay(seed: number, json: boolean): Promise<number> {
  const { nodeBytes, nodeText } = await import('@coppice/runtime')
  const { runSeed } = await import('@coppice/sim')
  const result = await runSeed(seed, { ports: { bytes: nodeBytes, text: nodeText }, trace: true })
  if (json) printJson(result)
  else {
    for (const line of result.transcript) print(line)
    print(summary(result))
  }
  return result.ok ? EXIT.ok : EXIT.error
}

function summary({ seed, ok, violation, steps, simulatedMs, epochs, operations, crashes }: RunResult): string {
  const verdict = ok ? 'no violation' : violation!.message
  const size = `${steps} steps, ${(simulatedMs / 1_000).toFixed(1)} s simulated, ${epochs} epochs, ${operations} operations, ${crashes} crashes`
  return `seed ${seed}: ${verdict}; ${size}`
}

async function runMany(flags: SimFlags, json: boolean): Promise<number> {
  const from = flags.seed ?? 1
  const runs = flags.runs ?? (flags.until === undefined ? DEFAULT_RUNS : Number.MAX_SAFE_INTEGER)
  const progress = new Progress('seeds')
  const begun = performance.now()
  const failed: RunResult[] = []
  const totals = { seeds: 0, simulatedMs: 0, steps: 0, operations: 0, epochs: 0, crashes: 0 }
  await runSeeds({ from, runs, untilMs: flags.until }, (result) => {
    totals.seeds++
    for (const field of ['simulatedMs', 'steps', 'operations', 'epochs', 'crashes'] as const)
      totals[field] += result[field]
    progress.update(totals.seeds, flags.runs ?? totals.seeds, '')
    if (result.ok) return
    failed.push(result)
    progress.clear()
    note(summary(result).split('\n')[0]!)
  })
  progress.clear()
  const seconds = (performance.now() - begun) / 1_000
  const failedSeeds = failed.map(({ seed }) => seed).sort((x, y) => x - y)
  if (json) printJson({ ...totals, from, failed: failedSeeds, seconds })
  else {
    print(
      `${totals.seeds} seeds, ${(totals.simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${totals.operations} operations, ` +
        `${totals.epochs} epochs, ${totals.crashes} crashes, ${seconds.toFixed(0)} s: ` +
        (failed.length === 0 ? 'no violation' : `${failed.length} violations`),
    )
    if (failed.length > 0) print(`the first is seed ${failedSeeds[0]}; replay it: coppice sim --seed ${failedSeeds[0]}`)
  }
  return failed.length === 0 ? EXIT.ok : EXIT.error
}

interface MutantResult {
  readonly name: string
  readonly rule: string
  /** Caught; for the real code, which comes among them: it holds. */
  readonly ok: boolean
  readonly by: string
  readonly message: string
}

async function runMutants(json: boolean): Promise<number> {
  if (!existsSync(MUTANTS_SCRIPT))
    throw new CliError(EXIT.error, 'mutants are patches of a source checkout; this is none')
  const script = (await import(pathToFileURL(MUTANTS_SCRIPT).href)) as {
    runMutants(options: { report(result: MutantResult): void }): Promise<MutantResult[]>
    lineOf(result: MutantResult): string
    verdictOf(results: readonly MutantResult[]): string
  }
  const report = (result: MutantResult): void => {
    if (!json) print(script.lineOf(result))
  }
  const results = await script.runMutants({ report })
  const failed = results.filter(({ ok }) => !ok).map(({ name }) => name)
  if (json) printJson({ mutants: results, failed })
  else print(script.verdictOf(results))
  return failed.length === 0 ? EXIT.ok : EXIT.error
}
