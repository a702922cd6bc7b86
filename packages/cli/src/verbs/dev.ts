// coppice dev: a whole cluster on this machine as separate processes, in the foreground until Ctrl-C.
import { rmSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { EpochSummary } from '@coppice/protocol'
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { countOption, durationOption, zonesOption } from '../base/options.js'
import { note, paint, print, printJson } from '../base/output.js'
import { readClusterFile } from '../dev/cluster-file.js'
import type { ClusterFile } from '../dev/cluster-file.js'
import { startDemo } from '../dev/demo.js'
import { layoutConflict, newLayout, refuseTakenPorts } from '../dev/layout.js'
import type { LayoutOptions } from '../dev/layout.js'
import { isRunning } from '../dev/processes.js'
import { HELD_DIR, Supervisor } from '../dev/supervisor.js'

const FORM_TIMEOUT_MS = 60_000
const POLL_MS = 500
const LEFTOVER_WAIT_MS = 10_000
const DEFAULTS = { configServers: 3, replicas: 3, spares: 1, port: 7100 }

interface DevFlags {
  readonly configServers?: number
  readonly replicas?: number
  readonly spares?: number
  readonly port?: number
  readonly zones?: readonly string[]
  readonly restartAfter: number
  readonly demo?: boolean
}

export function addDev(program: Command): void {
  program
    .command('dev')
    .description('run a whole cluster on this machine, as separate processes, until Ctrl-C')
    .option('--config-servers <n>', `config servers: 1, 3 or 5 (default ${DEFAULTS.configServers})`, countOption(1))
    .option('--replicas <n>', `members of the group (default ${DEFAULTS.replicas})`, countOption(1))
    .option('--spares <n>', `further replicas that stand by (default ${DEFAULTS.spares})`, countOption(0))
    .option(
      '--port <n>',
      `config servers listen from port + 1, replicas from port + 11; 0: free ports (default ${DEFAULTS.port})`,
      countOption(0),
    )
    .option('--zones <name,…>', 'zones of the replicas, one after the other', zonesOption)
    .option('--restart-after <duration>', 'start a process that died again after this time', durationOption, 2_000)
    .option('--demo', 'run the bank demo beside it')
    .addHelpText(
      'after',
      `
A second start on the same --data continues the same cluster, on the same ports. Logs are in DATA/logs.

Examples:
  coppice dev
  coppice dev --data /tmp/try --port 7200 --spares 0
  coppice dev --zones east,west,north`,
    )
    .action(async (_flags, command: Command) => {
      await runDev(command)
    })
}

async function runDev(command: Command): Promise<void> {
  const settings = settingsFor(command)
  const flags = command.opts<DevFlags>()
  const dataDir = resolve(settings.data)
  const { lockDataDir } = await import('@coppice/runtime/server')
  mkdirSync(dataDir, { recursive: true })
  const lock = await lockDataDir(dataDir, 'coppice dev')
  const layout = await layoutFor(dataDir, flags, settings.group)
  rmSync(join(dataDir, HELD_DIR), { recursive: true, force: true })
  const supervisor = new Supervisor(dataDir, layout, flags.restartAfter)
  const ending = new Ending()
  const watcher = new AbortController()
  let demo: ReturnType<typeof startDemo>
  ending.onStop = async () => {
    note('stopping …')
    watcher.abort()
    await demo?.stop()
    await supervisor.stop()
    lock.release()
    note('all processes have stopped')
  }
  const addresses = layout.configServers.map(({ address }) => address)
  note(
    `starting ${layout.configServers.length} config servers and ${layout.replicas.length} replicas, data in ${dataDir}`,
  )
  try {
    await supervisor.start()
  } catch (error) {
    await ending.stop()
    throw new CliError(EXIT.error, (error as Error).message)
  }
  if (!ending.begun) {
    void watchEpochs(addresses, settings.group, watcher.signal, (first) => {
      announce(settings.output === 'json', layout, dataDir, settings.dataGiven ? settings.data : undefined, first)
      if (flags.demo === true) demo = startDemo(addresses)
    })
  }
  await ending.done
}

async function layoutFor(dataDir: string, flags: DevFlags, group: string): Promise<ClusterFile> {
  const existing = readClusterFile(dataDir)
  if (existing === undefined) {
    const layout = await newLayout({ ...DEFAULTS, ...definedOf(flags), group })
    await refuseTakenPorts(layout)
    return layout
  }
  const conflict = layoutConflict(existing, definedOf(flags))
  if (conflict !== undefined)
    throw new CliError(
      EXIT.usage,
      `the cluster in ${dataDir} cannot be changed by flags: ${conflict}; use another --data`,
    )
  // Children of a dev that was killed stop by themselves; their ports are free a moment later.
  const deadline = performance.now() + LEFTOVER_WAIT_MS
  while ([...existing.configServers, ...existing.replicas].some(isRunning) && performance.now() < deadline)
    await sleep(100)
  return existing
}

function definedOf({ configServers, replicas, spares, port, zones }: DevFlags): Partial<LayoutOptions> {
  return Object.fromEntries(
    Object.entries({ configServers, replicas, spares, port, zones }).filter(([, value]) => value !== undefined),
  )
}

/** The first signal stops everything in order; a second one does not wait. */
class Ending {
  onStop: () => Promise<void> = () => Promise.resolve()
  begun = false
  readonly done: Promise<void>
  #settle!: () => void
  #stopping: Promise<void> | undefined

  constructor() {
    this.done = new Promise((resolve) => (this.#settle = resolve))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        if (this.begun) process.exit(EXIT.interrupted)
        void this.stop()
      })
  }

  stop(): Promise<void> {
    this.begun = true
    this.#stopping ??= this.onStop().then(this.#settle)
    return this.#stopping
  }
}

/** Calls `onFirst` once the group runs with all its members, and tells of every epoch after it. */
async function watchEpochs(
  addresses: readonly string[],
  group: string,
  signal: AbortSignal,
  onFirst: (epoch: EpochSummary | undefined) => void,
): Promise<void> {
  const { connectAdmin } = await import('@coppice/clerk')
  const admin = connectAdmin(addresses, { group, timeout: 2_000 })
  signal.addEventListener('abort', () => admin.close())
  let epoch = -1
  let warned = false
  let waited = false
  const begun = performance.now()
  while (!signal.aborted) {
    const view = await admin.getGroup().catch(() => undefined)
    const { state } = view ?? {}
    if (state !== undefined && state.epoch > epoch && state.members.length > 0) {
      const news = state.history.filter((each) => each.epoch > epoch).sort((x, y) => x.epoch - y.epoch)
      // What it cost is known a moment later.
      waited = epoch >= 0 && news.at(-1)?.writePauseMs === null && !waited
      if (!waited) {
        if (epoch < 0) onFirst(news.at(-1))
        else for (const each of news) note(epochLine(each))
        epoch = state.epoch
      }
    }
    if (epoch < 0 && !warned && performance.now() - begun > FORM_TIMEOUT_MS) {
      warned = true
      note(paint('yellow', `the group has not formed after ${FORM_TIMEOUT_MS / 1_000} s; see the logs`, process.stderr))
    }
    await sleep(POLL_MS)
  }
}

function epochLine({ epoch, members, cause, detail, writePauseMs }: EpochSummary): string {
  const why = detail === '' ? cause : `${cause}: ${detail}`
  const pause = writePauseMs === null ? '' : `, write pause ${Math.round(writePauseMs)} ms`
  return `epoch ${epoch}: ${members.join(', ')} (${why})${pause}`
}

function announce(
  json: boolean,
  layout: ClusterFile,
  dataDir: string,
  dataFlag: string | undefined,
  first: EpochSummary | undefined,
): void {
  const config = layout.configServers.map(({ address }) => address)
  if (json) {
    printJson({ ready: true, config, url: `coppice://${config.join(',')}`, data: dataDir, epoch: first?.epoch ?? null })
    return
  }
  const flag = dataFlag === undefined ? '' : ` --data ${dataFlag}`
  if (first !== undefined)
    note(`epoch ${first.epoch}: primary ${first.members[0]}, members ${first.members.join(', ')}`)
  print(paint('green', `ready: coppice://${config.join(',')}`))
  print(`try:   npx coppice${flag} kv put hello world && npx coppice${flag} kv get hello && npx coppice${flag} status`)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
