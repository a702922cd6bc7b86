// The network of a cluster inside one process: who listens where, and what gets through. Partitions and pauses hold frames back as TCP does: they
// arrive when it is over, unless the link's heartbeat has given the connection up by then.
import { setImmediate, type Channel, type Dial, type Listener, type Transport } from '@coppice/runtime'
import { wsTransport } from '@coppice/runtime/server'
import { Gate } from './gate.js'
import { PipeEnd, type PipeNetwork } from './pipe.js'

type OnChannel = (channel: Channel, from: string) => void

export class Network implements PipeNetwork {
  private readonly nameByAddress = new Map<string, string>()
  private readonly listeners = new Map<string, OnChannel>()
  /** Pairs of names, either way. */
  private readonly cut = new Set<string>()
  private readonly paused = new Set<string>()
  private due: PipeEnd[] = []
  private held = new Set<PipeEnd>()
  private readonly gates = new Map<string, Gate>()
  private scheduled = false

  /** Says where a server listens, for ever. */
  name(name: string, address: string): void {
    this.nameByAddress.set(address, name)
  }

  /** `tcp`: other processes reach it over TCP at the same address. */
  transportOf(name: string, tcp: boolean): Transport {
    const listen = async (address: string, onChannel: OnChannel): Promise<Listener> => {
      this.listeners.set(name, onChannel)
      const listener = tcp ? await this.listenOnTcp(name, address, onChannel) : undefined
      const close = async (): Promise<void> => {
        if (this.listeners.get(name) === onChannel) this.listeners.delete(name)
        await listener?.close()
      }
      return { address, close }
    }
    return { dial: this.dialOf(name), listen }
  }

  dialOf(name: string): Dial {
    return (address) => {
      const end = new PipeEnd(this, name, this.nameByAddress.get(address) ?? address)
      end.connect(address)
      return end
    }
  }

  accept(from: PipeEnd, address: string): PipeEnd | undefined {
    const name = this.nameByAddress.get(address)
    const onChannel = name === undefined ? undefined : this.listeners.get(name)
    if (onChannel === undefined) return undefined
    const end = new PipeEnd(this, from.remote, from.local)
    end.join(from)
    onChannel(end, from.local)
    return end
  }

  /** Nothing gets from a name of one side to one of the other any more, either way. */
  partition(sides: readonly (readonly string[])[]): void {
    for (const [i, side] of sides.entries())
      for (const other of sides.slice(i + 1)) for (const a of side) for (const b of other) this.cut.add(pair(a, b))
  }

  heal(): void {
    this.cut.clear()
    this.release()
  }

  pause(name: string): void {
    this.paused.add(name)
    this.gates.get(name)?.shut()
  }

  resume(name: string): void {
    if (!this.paused.delete(name)) return
    this.gates.get(name)?.open()
    this.release()
  }

  passes(from: string, to: string): boolean {
    if (this.paused.size > 0 && (this.paused.has(from) || this.paused.has(to))) return false
    return this.cut.size === 0 || !this.cut.has(pair(from, to))
  }

  schedule(end: PipeEnd): void {
    this.due.push(end)
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(this.pump)
  }

  private readonly pump = (): void => {
    this.scheduled = false
    const { due } = this
    this.due = []
    for (const end of due) {
      if (!end.waiting) continue
      if (!this.passes(end.remote, end.local)) {
        this.held.add(end)
        continue
      }
      try {
        end.arrive()
      } catch (error) {
        // A defect must not keep back what others sent; it is thrown where the process sees it.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  private release(): void {
    const { held } = this
    this.held = new Set()
    for (const end of held) this.schedule(end)
  }

  private async listenOnTcp(name: string, address: string, onChannel: OnChannel): Promise<Listener> {
    const gate = this.gates.get(name) ?? new Gate()
    this.gates.set(name, gate)
    return wsTransport.listen(address, (channel, from) => onChannel(gate.guard(channel), from))
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
