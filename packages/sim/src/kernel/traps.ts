// In simulation Date.now, new Date() and Math.random throw: whoever asks the real world makes a run unrepeatable.

interface Globals {
  Date: { now: () => number }
  Math: { random: () => number }
}

/** Sets the traps; the answer removes them. A run never leaves its macrotask, so nobody else meets them. */
export function setTraps(): () => void {
  const globals = globalThis as unknown as Globals
  const now = globals.Date.now
  const random = globals.Math.random
  globals.Date.now = () => {
    throw new Error('Date.now was called in simulation')
  }
  globals.Math.random = () => {
    throw new Error('Math.random was called in simulation')
  }
  return () => {
    globals.Date.now = now
    globals.Math.random = random
  }
}
