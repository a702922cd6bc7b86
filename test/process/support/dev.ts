// `coppice dev` as a user starts it, in a directory of its own, on free ports.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, withoutSettings, type Ran, type RunOptions } from './command.js'
import { COMMAND, type Ending } from './server-process.js'
import { until, within } from './wait.js'

interface NamedProcess {
  readonly id: string
  readonly address: string
  readonly pid: number
}
export interface ClusterJson {
  readonly dev: { readonly pid: number }
  readonly configServers: readonly NamedProcess[]
  readonly replicas: readonly NamedProcess[]
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Dev {
  readonly dataDir: string
  private readonly command: string
  private child: ChildProcess | undefined
  private ended: Promise<Ending> = Promise.resolve({ code: 0, signal: null })
  /** What it printed, of all its lives. */
  out = ''

  /** `command`: the script of the coppice command. */
  constructor(dataDir = join(mkdtempSync(join(tmpdir(), 'coppice-dev-')), 'data'), command = COMMAND) {
    this.dataDir = dataDir
    this.command = command
  }

  /** Resolves when the cluster is ready. */
  async start(args: readonly string[] = []): Promise<void> {
    const from = this.out.length
    const child = spawn(process.execPath, [this.command, 'dev', '--data', this.dataDir, '--port', '0', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...withoutSettings(), NO_COLOR: '1' },
    })
    this.child = child
    running.add(child)
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (this.out += data))
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child)
        resolve({ code, signal })
      })
    })
    let ending: Ending | undefined
    void this.ended.then((how) => (ending = how))
    await until('ready cluster', () => {
      if (ending !== undefined) throw new Error(`coppice dev ended with ${ending.signal ?? ending.code}: ${this.out}`)
      return this.out.slice(from).includes('ready: coppice://')
    })
  }

  signal(name: NodeJS.Signals): Promise<Ending> {
    this.child?.kill(name)
    return within('end of coppice dev', this.ended, 30_000)
  }

  /** The coppice command on this cluster. */
  coppice(args: readonly string[], options?: RunOptions): Promise<Ran> {
    return runCommand(['--data', this.dataDir, ...args], options)
  }

  get clusterJson(): ClusterJson {
    return JSON.parse(readFileSync(join(this.dataDir, 'cluster.json'), 'utf8')) as ClusterJson
  }
  get servers(): NamedProcess[] {
    return [...this.clusterJson.configServers, ...this.clusterJson.replicas]
  }

  /** Ends whatever is left and removes the directory. */
  async remove(): Promise<void> {
    if (this.child !== undefined && running.has(this.child)) await this.signal('SIGTERM')
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

/** Whether a process runs; one that ended and was not yet collected does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')
  } catch {
    return false
  }
}

/** Waits until none of them runs. */
export function allGone(pids: readonly number[]): Promise<unknown> {
  return until('end of all processes', () => pids.every((pid) => !isAlive(pid)), 15_000)
}
