// coppice bench: what the cluster does under a workload. Client processes of their own generate it; this one only tells them and reports.
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { configAddresses, settingsFor } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption, durationOption } from '../base/options.js'
import { note, print, printJson, Progress } from '../base/output.js'
import type { Settings } from '../base/settings.js'
import { localProcesses } from '../bench/cluster-processes.js'
import type { CoppiceOptions } from '../bench/coppice-store.js'
import { DISTRIBUTIONS } from '../bench/key-chooser.js'
import type { Distribution } from '../bench/key-chooser.js'
import { MIX_NAMES, MIXES, reads, sharesText } from '../bench/mixes.js'
import type { MixName } from '../bench/mixes.js'
import { resultJson, resultText, specText } from '../bench/report.js'
import { runBench } from '../bench/run.js'
import type { BenchResult } from '../bench/run.js'
import type { BenchSpec } from '../bench/spec.js'

const STORE = new URL('../bench/coppice-store.js', import.meta.url).href
const SEED = 1

interface BenchFlags {
  readonly callers: number
  readonly rate?: number
  readonly poisson?: boolean
  readonly maxOutstanding: number
  readonly seconds: number
  readonly warmup: number
  readonly value: number
  readonly keys: number
  readonly distribution?: Distribution
  readonly load?: boolean
  readonly clients: number
  readonly clerks: number
  readonly seed: number
}

export function addBench(program: Command): void {
  const bench = program.command('bench').description('measure the cluster under a workload')
  for (const name of MIX_NAMES) addMix(bench, name)
  bench.addHelpText(
    'after',
    `
Every workload takes the same options: coppice bench put --help.

Examples:
  coppice bench put --callers 256 --seconds 10
  coppice bench ycsb-a --keys 1000000
  coppice bench mixed50 --rate 20000 --poisson        latency at a given load
  coppice bench get95 --clients 2 --clerks 3 -o json`,
  )
}

function addMix(bench: Command, name: MixName): void {
  const mix = MIXES[name]
  bench
    .command(name)
    .description(`${sharesText(mix)}; keys ${mix.distribution}`)
    .option('--callers <n>', 'closed loop: calls in flight, each awaiting its answer', countOption(1), 64)
    .option('--rate <n>', 'open loop instead: operations per second, latency from the planned start', countOption(1))
    .option('--poisson', 'open loop: random gaps instead of equal ones')
    .option(
      '--max-outstanding <n>',
      'open loop: beyond it operations are not sent, but counted',
      countOption(1),
      50_000,
    )
    .option('--seconds <n>', 'how long to measure', countOption(1), 5)
    .option('--warmup <duration>', 'not measured', durationOption, 1_000)
    .option('--value <bytes>', 'size of a value', countOption(0), 128)
    .option('--keys <n>', 'different keys', countOption(1), 100_000)
    .option('--distribution <name>', `of keys: ${DISTRIBUTIONS.join(', ')} (default ${mix.distribution})`, distribution)
    .option('--load', `write missing keys before (default: ${reads(mix) ? 'yes' : 'no'})`)
    .option('--no-load', 'do not')
    .option('--clients <n>', 'client processes that share the callers or the rate', countOption(1), 1)
    .option(
      '--clerks <n>',
      'clerks of each client process; each reads at a replica of its own choice',
      countOption(1),
      1,
    )
    .option('--seed <n>', 'of the choice of keys', countOption(0), SEED)
    .addHelpText(
      'after',
      `
Counted are operations that end in the measured time; latencies also of those that are under way when it ends. With --rate the latency
counts from the planned start, so a pause of the cluster is seen by every operation that should have begun in it.

Examples:
  coppice bench ${name} --callers 256 --seconds 10
  coppice bench ${name} --rate 10000 -o json`,
    )
    .action(async (_flags, command: Command) => {
      await benchMix(settingsFor(command), name, command.opts<BenchFlags>())
    })
}

async function benchMix(settings: Settings, name: MixName, flags: BenchFlags): Promise<void> {
  const spec = specOf(settings, name, flags)
  const watched = await localProcesses(settings)
  note(specText(name, spec))
  const progress = new Progress(name)
  let operationsBefore = 0
  const result = await runBench(spec, watched, {
    onLoading: () => progress.update(0, flags.seconds, 'loading keys'),
    onProgress: (elapsedMs, operations) => {
      const seconds = Math.min(Math.round(elapsedMs / 1_000), flags.seconds)
      progress.update(seconds, flags.seconds, `s  ${(operations - operationsBefore).toLocaleString('en')} operations/s`)
      operationsBefore = operations
    },
  }).finally(() => progress.clear())
  show(settings, name, result)
}

function specOf(settings: Settings, name: MixName, flags: BenchFlags): BenchSpec {
  const { callers, rate, poisson = false, maxOutstanding, clients, clerks, keys, value, seconds, seed } = flags
  if (rate === undefined && callers < clients)
    throw new CliError(EXIT.usage, `--callers: ${callers} cannot be shared by ${clients} client processes`)
  if (rate === undefined && poisson) throw new CliError(EXIT.usage, '--poisson needs --rate')
  const { token, timeoutMs: timeout, group, zone } = settings
  const options: CoppiceOptions = { addresses: configAddresses(settings), connect: { group, token, timeout, zone } }
  const mix = MIXES[name]
  return {
    store: { module: STORE, options },
    mix,
    distribution: flags.distribution ?? mix.distribution,
    arrival: rate === undefined ? { kind: 'closed', callers } : { kind: 'open', rate, poisson, maxOutstanding },
    clients,
    clerks,
    keys,
    valueBytes: value,
    load: flags.load ?? reads(mix),
    warmupMs: flags.warmup,
    measureMs: seconds * 1_000,
    seed,
  }
}

function show(settings: Settings, name: MixName, result: BenchResult): void {
  if (settings.output === 'json') printJson(resultJson(name, result))
  else if (result.operations > 0) print(resultText(result))
  if (result.operations > 0) return
  const codes = Object.keys(result.failures).join(', ')
  throw new CliError(EXIT.error, `no operation succeeded${codes === '' ? '' : `; they failed with ${codes}`}`)
}

function distribution(text: string): Distribution {
  const found = DISTRIBUTIONS.find((name) => name === text)
  if (found !== undefined) return found
  throw new InvalidArgumentError(`It must be one of ${DISTRIBUTIONS.join(', ')}.`)
}
