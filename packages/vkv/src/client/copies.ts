// Copies of small byte strings for users. Memory of its own costs a byte string of more than 64 bytes far more than its bytes (V8 keeps it
// outside its heap and looks after each), so small ones share slabs, as Node's own Buffers do: what is kept alive by one is bounded.

/** V8 keeps arrays up to this inside its heap: they are cheap. */
const IN_HEAP_BYTES = 64
const SHARED_BYTES = 1024
const SLAB_BYTES = 8 * 1024
/** Up to here a loop is cheaper than a call into the engine. */
const SHORT = 32

let slab = new ArrayBuffer(SLAB_BYTES)
let free = 0

export function copyOfRange(buffer: Uint8Array, start: number, end: number): Uint8Array {
  const n = end - start
  const copy = n <= IN_HEAP_BYTES || n > SHARED_BYTES ? new Uint8Array(n) : shared(n)
  if (n <= SHORT) for (let i = 0; i < n; i++) copy[i] = buffer[start + i]!
  else copy.set(buffer.subarray(start, end))
  return copy
}

function shared(n: number): Uint8Array {
  if (free + n > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES)
    free = 0
  }
  const bytes = new Uint8Array(slab, free, n)
  // Views of numbers may be put on it: they want to begin at a multiple of eight.
  free += (n + 7) & ~7
  return bytes
}
