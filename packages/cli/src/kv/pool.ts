// Bounded concurrency: so many jobs at once, and so many bytes of them.

export class Pool {
  readonly #maxJobs: number
  readonly #maxBytes: number
  readonly #running = new Set<Promise<void>>()
  #bytes = 0
  #failure: { readonly error: unknown } | undefined

  constructor(maxJobs: number, maxBytes: number) {
    this.#maxJobs = maxJobs
    this.#maxBytes = maxBytes
  }

  /** Waits for room, then begins the job. Throws what an earlier job failed with. */
  async run(bytes: number, job: () => Promise<void>): Promise<void> {
    // A job larger than the bound goes alone.
    while (this.#running.size >= this.#maxJobs || (this.#running.size > 0 && this.#bytes + bytes > this.#maxBytes))
      await Promise.race(this.#running)
    this.#throwFailure()
    this.#bytes += bytes
    const running: Promise<void> = job()
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#bytes -= bytes
        this.#running.delete(running)
      })
    this.#running.add(running)
  }

  /** Waits for all. */
  async end(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running)
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
