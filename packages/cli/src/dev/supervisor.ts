// All processes of a dev cluster: started, watched, restarted and stopped together, and written down in cluster.json.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { note, paint } from '../base/output.js'
import { Child } from './child.js'
import { writeClusterFile } from './cluster-file.js'
import type { ClusterFile, ClusterProcess } from './cluster-file.js'
import { startTimeOf } from './processes.js'

/** DATA/held/ID: that process is not started again while the file is there. */
export const HELD_DIR = 'held'

export class Supervisor {
  readonly #dataDir: string
  readonly #layout: ClusterFile
  readonly #configServers: Child[]
  readonly #replicas: Child[]
  #running = false
  #stopped = false

  constructor(dataDir: string, layout: ClusterFile, restartMs: number) {
    this.#dataDir = dataDir
    this.#layout = layout
    mkdirSync(join(dataDir, 'logs'), { recursive: true })
    mkdirSync(join(dataDir, HELD_DIR), { recursive: true })
    const peers = layout.configServers.map(({ id, address }) => `${id}=${address}`).join(',')
    const common = ({ id, address }: ClusterProcess): string[] => [
      '--id',
      id,
      '--listen',
      address,
      '--data',
      join(dataDir, id),
    ]
    const wanted = String(layout.wanted)
    this.#configServers = layout.configServers.map((server) =>
      this.#child(server, restartMs, ['server', 'configsvc', ...common(server), '--peers', peers, '--wanted', wanted]),
    )
    this.#replicas = layout.replicas.map((replica) =>
      this.#child(replica, restartMs, [
        'server',
        'replica',
        ...common(replica),
        '--config',
        peers,
        '--group',
        layout.group,
        ...(replica.zone === undefined ? [] : ['--zone', replica.zone]),
      ]),
    )
  }

  /** Resolves when all are ready; rejects when one cannot start. */
  async start(): Promise<void> {
    await Promise.all([...this.#configServers, ...this.#replicas].map((child) => child.start()))
    this.#running = true
  }

  /** Replicas first, so that none has to look for a config service that is gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#replicas.map((child) => child.stop()))
    await Promise.all(this.#configServers.map((child) => child.stop()))
    this.#stopped = true
    this.#save()
  }

  #child({ id }: ClusterProcess, restartMs: number, args: readonly string[]): Child {
    return new Child({
      id,
      args,
      restartMs,
      logFile: join(this.#dataDir, 'logs', `${id}.log`),
      isHeld: () => existsSync(join(this.#dataDir, HELD_DIR, id)),
      onChange: (what, detail) => {
        this.#save()
        if (what === 'died') note(paint('red', `${id} died (${detail})`, process.stderr))
        if (what === 'ended') note(`${id} ended in order and is started again`)
        if (what === 'held') note(`${id} stays down until "coppice chaos resume ${id}"`)
        if (what === 'ready' && this.#running) note(`${id} runs again`)
      },
    })
  }

  #save(): void {
    const withPid = (processes: readonly ClusterProcess[], children: readonly Child[]): ClusterProcess[] =>
      processes.map((each, i) => ({ ...each, pid: children[i]!.pid, startTime: children[i]!.startTime }))
    const { pid } = process
    writeClusterFile(this.#dataDir, {
      ...this.#layout,
      dev: this.#stopped ? { pid: 0, startTime: '' } : { pid, startTime: startTimeOf(pid) ?? '' },
      configServers: withPid(this.#layout.configServers, this.#configServers),
      replicas: withPid(this.#layout.replicas, this.#replicas),
    })
  }
}
