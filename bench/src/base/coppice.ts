// A Coppice cluster of its own, as `coppice dev` starts it: real processes, data on disk, free ports.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { COPPICE_STORE } from '@coppice/cli/bench'
import type { CoppiceOptions } from '@coppice/cli/bench'
import type { Side } from './side.js'
import type { AtEnd } from './tool.js'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Lets the cluster end when this process does, even by SIGKILL. */
const ATTACHED = join(ROOT, 'packages/cli/dist/dev/attached.js')
const START_TIMEOUT_MS = 60_000

export interface ClusterOptions {
  readonly dataDir: string
  readonly replicas: number
  readonly configServers?: number | undefined
  readonly spares?: number | undefined
  /** The checkout whose servers run, built; default this one. */
  readonly root?: string | undefined
  /** The checkout whose SDK is measured; default this one. */
  readonly sdkRoot?: string | undefined
  readonly name?: string | undefined
  readonly maxInFlight?: number | undefined
  /** Zones of the replicas, one after the other. */
  readonly zones?: readonly string[] | undefined
}

export interface CoppiceSide extends Side {
  readonly options: CoppiceOptions
}

export async function startCoppice(atEnd: AtEnd, options: ClusterOptions): Promise<CoppiceSide> {
  const {
    dataDir,
    replicas,
    configServers = 3,
    spares = 0,
    root = ROOT,
    sdkRoot,
    name = 'Coppice',
    maxInFlight,
    zones = [],
  } = options
  const flags = [
    '--data',
    dataDir,
    '--config-servers',
    configServers,
    '--replicas',
    replicas,
    '--spares',
    spares,
    '--port',
    0,
    ...(zones.length === 0 ? [] : ['--zones', zones.join(',')]),
  ]
  const command = [ATTACHED, join(root, 'packages/cli/bin/coppice.js'), 'dev', '-o', 'json', ...flags.map(String)]
  // A session of its own: Ctrl-C reaches this process alone, which stops everything in order.
  const child = spawn(process.execPath, command, { detached: true, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const said: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => said.push(line))
  const exited = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await exited
  }
  atEnd(stop)
  const ready = once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>
  const ended = exited.then(() => undefined)
  const timeout = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), START_TIMEOUT_MS).unref()
  })
  const line = await Promise.race([ready, ended, timeout])
  if (line === undefined) throw new Error(`the cluster in ${dataDir} did not start:\n${said.join('\n')}`)
  const { config } = JSON.parse(line[0]) as { config: string[] }
  const sdk = sdkRoot === undefined ? undefined : new URL(`file://${sdkRoot}/packages/vkv/dist/index.js`).href
  const store: CoppiceOptions = { addresses: config, connect: { maxInFlight }, sdk }
  return {
    name,
    replicas,
    store: { module: COPPICE_STORE, options: store },
    options: store,
    watched: processesOf(dataDir),
    stop,
  }
}

// Replicas first, as they cost most.
function processesOf(dataDir: string): { id: string; pid: number }[] {
  const file = JSON.parse(readFileSync(join(dataDir, 'cluster.json'), 'utf8')) as Record<
    string,
    { id: string; pid: number }[]
  >
  return [...file['replicas']!, ...file['configServers']!].map(({ id, pid }) => ({ id, pid }))
}
