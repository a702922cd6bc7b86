// Runs the production ConfigNode on a simulated machine.
import { ConfigNode } from '@coppice/configsvc'
import type { ConfigOptions, ConfigView, RecoveredRegister, RegisterWrite } from '@coppice/configsvc'
import { DEFAULT_GROUP } from '@coppice/protocol'
import type { ConfigState, Message, NodeId } from '@coppice/protocol'
import type { NodeClock } from '../kernel/clock.js'
import { WriteQueue } from '../kernel/disk.js'
import type { Oracle } from '../oracle/oracle.js'
import { Host } from './host.js'
import type { Surroundings } from './host.js'

export class ConfigHost extends Host {
  readonly role = 'config'
  storeId: string
  readonly disk: WriteQueue<RegisterWrite>
  #register: RecoveredRegister
  readonly #options: ConfigOptions
  readonly #oracle: Oracle
  #node: ConfigNode | undefined
  #stores = 1
  #onLeft: (() => void) | undefined
  #learned: ConfigState | undefined

  constructor(
    options: ConfigOptions,
    storeId: string,
    clock: NodeClock,
    diskMs: number,
    oracle: Oracle,
    around: Surroundings,
  ) {
    super(
      options.id,
      clock,
      options.peers.map((p) => p.id),
      around,
    )
    this.storeId = storeId
    this.#options = options
    this.#oracle = oracle
    this.#register = { storeId, promised: { round: 0, node: '' }, accepted: [] }
    this.disk = new WriteQueue(around.kernel, around.random.fork(), diskMs, (write) => this.#makeDurable(write))
  }

  get view(): ConfigView | undefined {
    return this.alive ? this.#node?.view : undefined
  }

  /** SIGTERM: if it leads it lets another one lead, and ends when that is so, or after `withinMs`. */
  leave(withinMs: number): void {
    if (!this.alive || this.paused) return
    const { incarnation } = this
    const end = (): void => {
      if (this.incarnation === incarnation) this.crash('orderly end')
    }
    this.#onLeft = () => {
      this.#onLeft = undefined
      this.around.kernel.after(0, end)
    }
    this.around.kernel.after(withinMs, end)
    this.input({ kind: 'leave' })
  }

  /** The machine's disk is lost for ever; it comes back under its old name with an empty store. */
  wipe(): void {
    this.crash('crash, disk lost')
    this.storeId = `${this.id}-store${++this.#stores}`
    this.#register = { storeId: this.storeId, promised: { round: 0, node: '' }, accepted: [] }
  }

  protected override load(): void {
    const seed = this.around.random.int(0x7fff_ffff)
    const options = { ...this.#options, seed, newClusterId: `cluster-${this.id}-${seed}` }
    this.guarded(() => {
      this.#node = new ConfigNode(options, this.#register, this.clock.now())
    })
    this.core = this.#node as never
    this.installed()
  }

  protected override lose(): void {
    this.disk.crash()
    this.disk.hanging = false
    this.#onLeft = undefined
    this.#node = undefined
  }

  #makeDurable(write: RegisterWrite): void {
    if (write.kind === 'promised') {
      this.#register = { ...this.#register, promised: write.ballot }
      return
    }
    const others = this.#register.accepted.filter((a) => a.value.group !== write.group)
    this.#register = { ...this.#register, accepted: [...others, write.accepted] }
    this.#oracle.accepted(this.storeId, write.accepted)
  }

  protected override tellSlept(_now: number, sleptMs: number): void {
    this.input({ kind: 'slept', sleptMs })
  }
  protected override tellHealth(): void {}

  protected override sending(to: NodeId, message: Message): void {
    this.#oracle.sentByConfig(to, message)
  }
  protected override replying(): void {}
  protected override observed(): void {
    const learned = this.view?.chosen(DEFAULT_GROUP)
    if (learned === undefined || learned === this.#learned) return
    this.#learned = learned
    this.#oracle.registers.learned(this.id, learned)
  }

  protected override other(effect: { readonly kind: string }): void {
    if (effect.kind === 'left') return this.#onLeft?.()
    if (effect.kind !== 'write') throw new Error(`unknown effect ${effect.kind}`)
    const { token, writes } = effect as unknown as { token: number; writes: readonly RegisterWrite[] }
    const { incarnation } = this
    this.disk.write(writes, () => {
      if (this.incarnation === incarnation) this.post(() => this.input({ kind: 'written', token }))
    })
  }
}
