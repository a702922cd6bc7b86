// The register of a config server in memory: promised ballot and accepted values survive its crash, as on a disk.
import type { RecoveredRegister, RegisterWrite } from '@coppice/configsvc'
import type { RegisterStore } from '@coppice/configsvc/server'
import { afterSending } from '@coppice/runtime/server'

interface Queued {
  readonly writes: readonly RegisterWrite[]
  readonly durable: () => void
}

/** What is on the disk. */
export interface RegisterContent {
  register: RecoveredRegister
}

export class MemoryRegister implements RegisterStore {
  readonly recovered: RecoveredRegister
  onFailed: (reason: string) => void = () => undefined
  private readonly content: RegisterContent
  private queue: Queued[] = []
  private ended = false

  constructor(content: RegisterContent) {
    this.content = content
    this.recovered = content.register
  }

  write(writes: readonly RegisterWrite[], durable: () => void): void {
    if (this.ended) return
    if (this.queue.length === 0) afterSending(this.commit)
    this.queue.push({ writes, durable })
  }

  async close(): Promise<void> {
    this.commit()
    this.ended = true
  }

  async abandon(): Promise<void> {
    this.ended = true
    this.queue = []
  }

  private readonly commit = (): void => {
    const { queue, content } = this
    this.queue = []
    for (const { writes, durable } of queue) {
      for (const write of writes) content.register = after(content.register, write)
      durable()
    }
  }
}

function after(register: RecoveredRegister, write: RegisterWrite): RecoveredRegister {
  if (write.kind === 'promised') return { ...register, promised: write.ballot }
  const others = register.accepted.filter((a) => a.value.group !== write.group)
  return { ...register, accepted: [...others, write.accepted] }
}
