// A server whose process is about to end says so with its reports and waits, within its host's bound, until the group goes on without it
// (PROTOCOL 2: a planned change, so that nobody has to notice its silence).
import type { Reporter } from './report.js'
import type { Shared } from './shared.js'

/** Reports without an answer after which there is nobody to wait for. */
const MAX_UNANSWERED = 8

export class Leaving {
  readonly #s: Shared
  readonly #reporter: Reporter
  #ended = false

  constructor(shared: Shared, reporter: Reporter) {
    this.#s = shared
    this.#reporter = reporter
  }

  begin(): void {
    const s = this.#s
    if (s.leaving) return
    s.leaving = true
    s.event('leaving', {})
    this.#reporter.soon()
  }

  onMayLeave(): void {
    if (this.#s.leaving) this.#end('the group needs nothing more of it')
  }

  /** After each step. */
  settle(): void {
    const s = this.#s
    if (!s.leaving || this.#ended) return
    const isMember = s.configuration?.members.includes(s.options.id) === true
    if (!isMember) this.#end('it is no member')
    else if (this.#reporter.unanswered > MAX_UNANSWERED) this.#end('no config server answers')
  }

  #end(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#s.effects.push({ kind: 'left', reason })
  }
}
