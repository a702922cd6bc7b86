// Numbers of inserted keys. Several client processes insert at once, each numbers of its own; a number counts as present when its
// insert and all before it have been acknowledged, so that nobody reads what is not there yet.

export class Inserts {
  readonly #loaded: number
  readonly #client: number
  readonly #clients: number
  #given = 0
  #acknowledged = 0
  readonly #early = new Set<number>()

  constructor(loaded: number, client: number, clients: number) {
    this.#loaded = loaded
    this.#client = client
    this.#clients = clients
  }

  /** How many keys this client may read: the loaded ones, and of the inserted ones its own. */
  get present(): number {
    return this.#loaded + this.#acknowledged
  }

  /** The place of the next insert among this client's keys. */
  next(): number {
    return this.#loaded + this.#given++
  }

  acknowledge(place: number): void {
    this.#early.add(place - this.#loaded)
    while (this.#early.delete(this.#acknowledged)) this.#acknowledged++
  }

  /** The key at a place: no two clients insert the same. */
  keyAt(place: number): number {
    if (place < this.#loaded) return place
    return this.#loaded + (place - this.#loaded) * this.#clients + this.#client
  }
}
