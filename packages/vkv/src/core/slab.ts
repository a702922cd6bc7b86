// Memory of a table's records (PROTOCOL 7: state in memory): pages of 64 KiB cut into slots of one size class each, outside the
// garbage collector's sight, so that a million keys cost it nothing. Values too large for a slot are buffers of their own.
//
// A record: u53 version · u32 value length · u16 key length · u8 class · u8 large · key · value (or u32 place of the large value)
// A handle is page << 12 | granule, a granule being 16 bytes; handle 0 is no record.
import { assert } from '@coppice/protocol'

const PAGE_BITS = 16
const PAGE_BYTES = 1 << PAGE_BITS
const GRANULE_BITS = 4
const GRANULES_BITS = PAGE_BITS - GRANULE_BITS
const GRANULE_MASK = (1 << GRANULES_BITS) - 1
const MAX_PAGES = 1 << (32 - GRANULES_BITS)

export const RECORD_HEADER = 16
const TWO_32 = 0x1_0000_0000

/** Records up to this size live in slots; above, the value is a buffer of its own. */
export const MAX_SLOT_BYTES = 16_384

/** Slot sizes: steps of 16 B to 256 B, 64 B to 1 KiB, 256 B to 4 KiB, 1 KiB to 16 KiB; at most a quarter of a slot is wasted. */
const CLASS_BYTES: number[] = []
for (let n = 16; n <= MAX_SLOT_BYTES; n += n < 256 ? 16 : n < 1_024 ? 64 : n < 4_096 ? 256 : 1_024) CLASS_BYTES.push(n)
/** Class by number of granules, rounded up. */
const CLASS_BY_GRANULES = new Uint8Array((MAX_SLOT_BYTES >> GRANULE_BITS) + 1)
for (let g = 0, c = 0; g < CLASS_BY_GRANULES.length; g++) {
  if (CLASS_BYTES[c]! < g << GRANULE_BITS) c++
  CLASS_BY_GRANULES[g] = c
}

/** Bookkeeping of one page: free slots are chained through their first word. */
interface Page {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  slotClass: number
  freeHead: number
  /** Slots never handed out begin here. */
  fresh: number
  live: number
  /** Where it stands in its class's list of pages with room; -1: not there. */
  place: number
}

const NO_PAGE: Page = {
  bytes: new Uint8Array(0),
  words: new Uint32Array(0),
  slotClass: 0,
  freeHead: 0,
  fresh: 0,
  live: 0,
  place: -1,
}

export class Slab {
  /** Page 0 is never used, so that handle 0 means "none". */
  readonly #pages: Page[] = [NO_PAGE]
  readonly #idlePages: number[] = []
  readonly #roomByClass: number[][] = CLASS_BYTES.map(() => [])
  readonly #large: (Uint8Array | undefined)[] = []
  readonly #largeFree: number[] = []

  bytesOf(handle: number): Uint8Array {
    return this.#pages[handle >>> GRANULES_BITS]!.bytes
  }
  /** Where the record begins in `bytesOf`. */
  offsetOf(handle: number): number {
    return (handle & GRANULE_MASK) << GRANULE_BITS
  }
  versionOf(handle: number): number {
    const words = this.#pages[handle >>> GRANULES_BITS]!.words
    const at = (handle & GRANULE_MASK) << 2
    return words[at + 1]! * TWO_32 + words[at]!
  }
  setVersion(handle: number, version: number): void {
    const words = this.#pages[handle >>> GRANULES_BITS]!.words
    const at = (handle & GRANULE_MASK) << 2
    words[at] = version >>> 0
    words[at + 1] = Math.floor(version / TWO_32)
  }
  valueLengthOf(handle: number): number {
    return this.#pages[handle >>> GRANULES_BITS]!.words[((handle & GRANULE_MASK) << 2) + 2]!
  }
  keyLengthOf(handle: number): number {
    return this.#pages[handle >>> GRANULES_BITS]!.words[((handle & GRANULE_MASK) << 2) + 3]! & 0xffff
  }
  /** Whether the record's key is key[start … end). */
  hasKey(handle: number, key: Uint8Array, start: number, end: number): boolean {
    const page = this.#pages[handle >>> GRANULES_BITS]!
    const length = end - start
    const granule = handle & GRANULE_MASK
    if ((page.words[(granule << 2) + 3]! & 0xffff) !== length) return false
    const { bytes } = page
    const at = (granule << GRANULE_BITS) + RECORD_HEADER
    for (let i = 0; i < length; i++) if (bytes[at + i] !== key[start + i]) return false
    return true
  }
  /** The buffer of a large value, or undefined when the value lies behind the key in the slot. */
  largeOf(handle: number): Uint8Array | undefined {
    const page = this.#pages[handle >>> GRANULES_BITS]!
    const at = (handle & GRANULE_MASK) << GRANULE_BITS
    return isLarge(page, at) ? this.#large[this.#largePlace(page, at)] : undefined
  }

  /** Makes a record with this key and value, copied from the given ranges. */
  add(
    version: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    const large = RECORD_HEADER + keyLength + valueLength > MAX_SLOT_BYTES
    const slotClass = classFor(RECORD_HEADER + keyLength + (large ? 4 : valueLength))
    const handle = this.#take(slotClass)
    const page = this.#pages[handle >>> GRANULES_BITS]!
    const at = (handle & GRANULE_MASK) << GRANULE_BITS
    const word = at >>> 2
    page.words[word] = version >>> 0
    page.words[word + 1] = Math.floor(version / TWO_32)
    page.words[word + 2] = valueLength
    page.words[word + 3] = keyLength | (slotClass << 16) | ((large ? 1 : 0) << 24)
    copyRange(key, keyStart, keyEnd, page.bytes, at + RECORD_HEADER)
    const valueAt = at + RECORD_HEADER + keyLength
    if (large) {
      const place = this.#largeFree.pop() ?? this.#large.length
      this.#large[place] = copyOf(value, valueStart, valueEnd)
      for (let i = 0; i < 4; i++) page.bytes[valueAt + i] = place >>> (8 * i)
    } else copyRange(value, valueStart, valueEnd, page.bytes, valueAt)
    return handle
  }

  /** Overwrites version and value in the record's own slot; false when the new value needs a slot of another size. */
  replace(handle: number, version: number, value: Uint8Array, valueStart: number, valueEnd: number): boolean {
    const page = this.#pages[handle >>> GRANULES_BITS]!
    const at = (handle & GRANULE_MASK) << GRANULE_BITS
    const valueLength = valueEnd - valueStart
    const keyLength = page.words[(at >>> 2) + 3]! & 0xffff
    const large = RECORD_HEADER + keyLength + valueLength > MAX_SLOT_BYTES
    if (large !== isLarge(page, at)) return false
    if (large) {
      // A new buffer, never the old one overwritten: a capture may still hold the old one.
      this.#large[this.#largePlace(page, at)] = copyOf(value, valueStart, valueEnd)
    } else {
      if (classFor(RECORD_HEADER + keyLength + valueLength) !== page.slotClass) return false
      copyRange(value, valueStart, valueEnd, page.bytes, at + RECORD_HEADER + keyLength)
    }
    const word = at >>> 2
    page.words[word] = version >>> 0
    page.words[word + 1] = Math.floor(version / TWO_32)
    page.words[word + 2] = valueLength
    return true
  }

  /** Gives the record's memory back. */
  free(handle: number): void {
    const number = handle >>> GRANULES_BITS
    const page = this.#pages[number]!
    const at = (handle & GRANULE_MASK) << GRANULE_BITS
    if (isLarge(page, at)) {
      const place = this.#largePlace(page, at)
      this.#large[place] = undefined
      this.#largeFree.push(place)
    }
    page.words[at >>> 2] = page.freeHead
    page.freeHead = handle
    page.live--
    assert(page.live >= 0, 'a slab page has no fewer than zero live slots')
    const room = this.#roomByClass[page.slotClass]!
    if (page.place < 0) {
      page.place = room.length
      room.push(number)
    }
    // An empty page may serve any class; each class keeps one, so that a slot taken and freed in turn moves no page.
    if (page.live === 0 && room.length > 1) {
      this.#unlist(page, room)
      this.#idlePages.push(number)
    }
  }

  #unlist(page: Page, room: number[]): void {
    const last = room.pop()!
    if (page.place < room.length) {
      room[page.place] = last
      this.#pages[last]!.place = page.place
    }
    page.place = -1
  }

  #largePlace(page: Page, at: number): number {
    const keyLength = page.words[(at >>> 2) + 3]! & 0xffff
    const b = page.bytes
    const p = at + RECORD_HEADER + keyLength
    return (b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24)) >>> 0
  }

  #take(slotClass: number): number {
    const slotBytes = CLASS_BYTES[slotClass]!
    const room = this.#roomByClass[slotClass]!
    let number: number
    if (room.length > 0) number = room[room.length - 1]!
    else {
      number = this.#newPage(slotClass)
      this.#pages[number]!.place = 0
      room.push(number)
    }
    const page = this.#pages[number]!
    let handle = page.freeHead
    if (handle !== 0) page.freeHead = page.words[(handle & GRANULE_MASK) << 2]!
    else {
      handle = ((number << GRANULES_BITS) | (page.fresh >>> GRANULE_BITS)) >>> 0
      page.fresh += slotBytes
    }
    page.live++
    if (page.freeHead === 0 && page.fresh + slotBytes > PAGE_BYTES) this.#unlist(page, room)
    return handle
  }

  /** A page for this class: one that became empty, or fresh memory. */
  #newPage(slotClass: number): number {
    const idle = this.#idlePages.pop()
    if (idle !== undefined) {
      const page = this.#pages[idle]!
      page.slotClass = slotClass
      page.freeHead = 0
      page.fresh = 0
      return idle
    }
    assert(this.#pages.length < MAX_PAGES, 'a table holds at most 64 GiB of records')
    const buffer = new ArrayBuffer(PAGE_BYTES)
    this.#pages.push({
      bytes: new Uint8Array(buffer),
      words: new Uint32Array(buffer),
      slotClass,
      freeHead: 0,
      fresh: 0,
      live: 0,
      place: -1,
    })
    return this.#pages.length - 1
  }
}

function isLarge(page: Page, at: number): boolean {
  return page.words[(at >>> 2) + 3]! >>> 24 !== 0
}

function classFor(bytes: number): number {
  return CLASS_BY_GRANULES[(bytes + 15) >>> GRANULE_BITS]!
}

/** Copies a range; short ones by hand, because a view and a native call cost more than a loop over so few bytes. */
export function copyRange(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start < 48) for (let i = start; i < end; i++) to[at++] = from[i]!
  else to.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
}

/** A copy also of a Buffer, whose own `slice` would share its memory. */
function copyOf(from: Uint8Array, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start)
  bytes.set(from.subarray(start, end))
  return bytes
}
