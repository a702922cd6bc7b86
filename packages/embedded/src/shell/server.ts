// One server of the cluster as its test sees it: a process that runs, stands still or is dead.
import { CoppiceError, type NodeId } from '@coppice/protocol'
import type { Network } from './network.js'

/** What a running server can be made to do; replicas and config servers alike. */
export interface Process {
  pause(): void
  resume(): void
  crash(): Promise<void>
  stop(): Promise<void>
  readonly stopped: Promise<{ readonly exitCode: 0 | 1; readonly reason: string }>
}

/** As its test left it; `crashed` also when it stopped by itself. */
export type ServerState = 'running' | 'paused' | 'crashed'

export class Server {
  readonly id: NodeId
  readonly kind: 'config' | 'replica'
  readonly address: string
  state: ServerState = 'crashed'
  /** Why it stopped by itself, which no fault of a test makes it do. */
  failure: string | undefined
  private readonly network: Network
  private readonly launch: () => Promise<Process>
  private process: Process | undefined
  /** What changes its state goes one after the other. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    id: NodeId,
    kind: 'config' | 'replica',
    address: string,
    network: Network,
    launch: () => Promise<Process>,
  ) {
    this.id = id
    this.kind = kind
    this.address = address
    this.network = network
    this.launch = launch
  }

  start(): Promise<void> {
    return this.inTurn(async () => {
      if (this.state !== 'crashed') throw this.refused(`is ${this.state}; crash it before it is started again`)
      const process = await this.launch()
      this.process = process
      this.state = 'running'
      void process.stopped.then(({ exitCode, reason }) => {
        if (exitCode === 0 || process !== this.process) return
        this.failure = reason
        this.state = 'crashed'
      })
    })
  }

  crash(): Promise<void> {
    return this.inTurn(async () => {
      const { process } = this
      if (this.state === 'crashed' || process === undefined) throw this.refused('has crashed already; restart it')
      this.process = undefined
      this.state = 'crashed'
      await process.crash()
      this.network.resume(this.id)
    })
  }

  pause(): Promise<void> {
    return this.inTurn(async () => {
      if (this.state === 'crashed') throw this.refused('has crashed; restart it before it is paused')
      this.state = 'paused'
      this.network.pause(this.id)
      this.process!.pause()
    })
  }

  resume(): Promise<void> {
    return this.inTurn(async () => {
      if (this.state === 'crashed') throw this.refused('has crashed; restart it')
      this.state = 'running'
      this.process!.resume()
      this.network.resume(this.id)
    })
  }

  stop(): Promise<void> {
    return this.inTurn(async () => {
      const { process } = this
      this.process = undefined
      if (this.state === 'paused') process?.resume()
      this.network.resume(this.id)
      this.state = 'crashed'
      await process?.stop()
    })
  }

  private inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.last.then(change)
    this.last = done.catch(() => undefined)
    return done
  }

  private refused(why: string): CoppiceError {
    return new CoppiceError(`${this.id} ${why}`, { code: 'CONFLICT', outcome: 'not-applied' })
  }
}
