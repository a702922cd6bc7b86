// Directed stories about the drain of a planned change (PROTOCOL 2): what a drained primary may not do, and what ends a drain.
import type { Message } from '@coppice/protocol'
import { check } from '../kernel/violation.js'
import { scripted } from './mutant-kit.js'
import type { Scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

/** Writes all the time until told to stop, several at once; every put must succeed. */
function writeOn(client: Scripted): () => Promise<void> {
  let stopped = false
  const loop = async (): Promise<void> => {
    while (!stopped) await Promise.all([client.puts('x', 1), client.puts('y', 1), client.puts('z', 1)])
  }
  const ended = loop()
  return () => {
    stopped = true
    return ended
  }
}

export const DRAIN_STORIES: readonly Story[] = [
  // Hand-overs under load: all seal at the same place, nothing is shipped, and no lease is waited for.
  scripted('handed-over-under-load', async (s) => {
    const stops = [1, 2, 3].map((i) => writeOn(s.client(`writer${i}`)))
    const sealed = new Map<unknown, Set<unknown>>()
    s.c.onEvent = (_node, name, fields) => {
      if (name !== 'sealed') return
      const ends = sealed.get(fields['sealedFor']) ?? new Set()
      sealed.set(fields['sealedFor'], ends.add(fields['nextIndex']))
    }
    for (let epoch = 2; epoch < 10; epoch++) {
      await s.sleep(60)
      s.c.requestHandover(s.members[1]!)
      await s.until(() => s.running(epoch))
    }
    for (const stop of stops) await stop()
    for (const [epoch, ends] of sealed)
      check(ends.size === 1, 'drain', () => `sealed for ${String(epoch)} at ${[...ends].join(' and ')}`)
    for (const { epoch, catchUp, writePauseMs } of s.c.oracle.registers.newest!.history.slice(1)) {
      check(
        catchUp.every(({ how }) => how === 'none'),
        'drain',
        () => `epoch ${epoch} was shipped to a member`,
      )
      check((writePauseMs ?? 0) < 100, 'drain', () => `the hand-over to epoch ${epoch} took ${writePauseMs} ms`)
    }
  }),
  // The drained primary is sealed, its backups hear of the SEAL late, and a clerk that knows nothing of all that writes to it again.
  scripted('drained-and-sealed-and-asked-again', async (s) => {
    const [primary, target, other] = s.members
    const ignorant = s.client('ignorant')
    await ignorant.puts('y', 2)
    const late: readonly Message['kind'][] = ['seal', 'enter', 'commit']
    const found = s.lose((_from, to, { kind }) => kind === 'report' || (late.includes(kind) && to !== primary!.id))
    s.c.requestHandover(target!)
    await s.until(() => primary!.store.meta.sealedFor > 1)
    check(other!.store.meta.sealedFor === 1, 'story', () => 'a backup has heard of the SEAL')
    let entering = false
    s.c.onEvent = (_node, name, fields) => (entering ||= name === 'attemptStep' && fields['step'] === 'enter')
    await s.sleep(290)
    await ignorant.put('y', 120)
    // Nobody remembers what the backups have not heard.
    s.crash(primary!)
    primary!.start()
    // The one answer is enough for the next epoch to begin where it ends.
    await s.until(() => entering, 600)
    found()
    await s.until(() => s.running(2))
    await ignorant.puts('y', 2)
  }),
]
