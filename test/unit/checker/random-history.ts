// Small random histories: legal ones made by a real register, and the same with some answers changed.
import type { HistoryEvent, HistoryFunction } from '../../../packages/sim/src/checker/index.js'

export interface Shape {
  readonly processes: number
  readonly operations: number
  /** Number of different values; 0: every write has its own. */
  readonly values: number
  readonly functions: readonly HistoryFunction[]
  readonly lost: number
  readonly keys: number
}

export function randomOf(seed: number): () => number {
  let x = seed >>> 0
  return () => {
    x = (x + 0x6d2b_79f5) >>> 0
    let t = Math.imul(x ^ (x >>> 15), x | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Pending {
  event: HistoryEvent
  effect: 'none' | 'done' | 'late'
  answer: HistoryEvent | undefined
}

/** Runs processes against one register a key; each operation takes effect at a random moment while it is pending, or later, or never. */
export function randomHistory(shape: Shape, random: () => number, wrong: number): HistoryEvent[] {
  const events: HistoryEvent[] = []
  const state = new Map<string, unknown>()
  const pending = new Map<number, Pending>()
  const late: HistoryEvent[] = []
  let unique = 0
  let started = 0
  const pick = (n: number): number => Math.floor(random() * n)
  const value = (): unknown => (shape.values === 0 ? `v${++unique}` : pick(12) === 0 ? null : `v${pick(shape.values)}`)
  const text = (): string => (shape.values === 0 ? `t${++unique};` : ['a', 'b', 'ab', ''][pick(4)]!)
  const known = (): unknown => {
    const past = events.filter((e) => e.f === 'write' || (e.f === 'read' && e.type === 'ok')).map((e) => e.value)
    return random() < 0.3 || past.length === 0 ? (random() < 0.3 ? null : value()) : past[pick(past.length)]
  }
  const run = ({ f, key, value: argument }: HistoryEvent): Pick<HistoryEvent, 'type' | 'value'> => {
    const at = String(key)
    const now = state.get(at) ?? null
    if (f === 'read') return { type: 'ok', value: now }
    if (f === 'write') state.set(at, argument)
    else if (f === 'append') {
      if (now !== null && typeof now !== 'string') throw new Error('append to what is not text')
      state.set(at, (now ?? '') + String(argument ?? ''))
    } else {
      const [old, next] = argument as unknown[]
      if (JSON.stringify(now) !== JSON.stringify(old)) return { type: 'fail', value: argument }
      state.set(at, next)
    }
    return { type: 'ok', value: argument }
  }
  while (started < shape.operations || pending.size > 0) {
    if (late.length > 0 && random() < 0.2) run(late.splice(pick(late.length), 1)[0]!)
    const process = pick(shape.processes)
    const mine = pending.get(process)
    if (mine === undefined) {
      if (started === shape.operations) continue
      started++
      const f = shape.functions[pick(shape.functions.length)]!
      const argument = f === 'read' ? null : f === 'cas' ? [known(), value()] : f === 'append' ? text() : value()
      const event: HistoryEvent = { process, type: 'invoke', f, key: `k${pick(shape.keys)}`, value: argument }
      events.push(event)
      pending.set(process, { event, effect: 'none', answer: undefined })
    } else if (mine.effect === 'none') {
      if (random() < shape.lost) {
        pending.delete(process)
        if (random() < 0.5) late.push(mine.event)
        if (random() < 0.7) events.push({ ...mine.event, type: 'info' })
        continue
      }
      if (random() < 0.05 && mine.event.f !== 'cas') {
        pending.delete(process)
        events.push({ ...mine.event, type: 'fail' })
        continue
      }
      mine.effect = 'done'
      mine.answer = { ...mine.event, ...run(mine.event) }
    } else {
      pending.delete(process)
      const lie = random() < wrong
      const { f } = mine.event
      if (lie && f === 'read') events.push({ ...mine.answer!, value: known() })
      else if (lie && f === 'cas') events.push({ ...mine.answer!, type: mine.answer!.type === 'ok' ? 'fail' : 'ok' })
      else events.push(mine.answer!)
    }
  }
  return events
}
