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
  // Hand-overs under load: the drained primary's answer is all that is waited for, nothing is shipped, and no lease is waited for.
  scripted('handed-over-under-load', async (s) => {
    const stops = [1, 2, 3].map((i) => writeOn(s.client(`writer${i}`)))
    s.hear((from, to, { kind }) => {
      check(kind !== 'seal', 'drain', () => `${from} asks ${to} to seal an epoch that its primary ended`)
    })
    for (let epoch = 2; epoch < 10; epoch++) {
      await s.sleep(60)
      s.c.requestHandover(s.members[1]!)
      await s.until(() => s.running(epoch))
    }
    for (const stop of stops) await stop()
    for (const { epoch, catchUp, writePauseMs } of s.c.oracle.registers.newest!.history.slice(1)) {
      check(
        catchUp.every(({ how }) => how === 'none'),
        'drain',
        () => `epoch ${epoch} was shipped to a member`,
      )
      check((writePauseMs ?? 0) < 100, 'drain', () => `the hand-over to epoch ${epoch} took ${writePauseMs} ms`)
    }
  }),
  // The drained primary is sealed, its backups hear of that late, and a clerk that knows nothing of all that writes to it again.
  scripted('drained-and-sealed-and-asked-again', async (s) => {
    const [primary, target, other] = s.members
    const ignorant = s.client('ignorant')
    await ignorant.puts('y', 2)
    const late: readonly Message['kind'][] = ['report', 'enter', 'commit']
    const found = s.loseKinds(...late)
    s.c.requestHandover(target!)
    await s.until(() => primary!.store.meta.sealedFor > 1)
    check(other!.store.meta.sealedFor === 1, 'story', () => 'a backup has heard of the new epoch')
    await s.sleep(290)
    await ignorant.put('y', 120)
    // Nobody remembers what the backups have not heard.
    s.crash(primary!)
    primary!.start()
    // The one answer is enough for the next epoch to begin where it ends.
    found()
    await s.until(() => s.running(2))
    await ignorant.puts('y', 2)
  }),
  // The drained primary answers, falls before its seal is on its disk, and comes back before anybody hears of the next epoch. What was on its
  // way to the disk when it fell may be there all the same: again, until it is not.
  scripted('drained-and-restarted-and-asked-again', async (s) => {
    const ignorant = s.client('ignorant')
    let forgot = false
    while (!forgot) {
      const { epoch } = s.c.oracle.registers.newest!
      const [primary, target] = s.members
      await ignorant.puts('y', 2)
      const found = s.loseKinds('enter')
      let fell = false
      const heard = s.hear((from, _to, message) => {
        if (message.kind !== 'sealReply' || from !== primary!.id) return
        heard()
        s.c.kernel.after(0, () => {
          primary!.crash()
          forgot = primary!.store.meta.sealedFor < message.epoch
          primary!.start()
          fell = true
        })
      })
      s.c.requestHandover(target!)
      await s.until(() => fell)
      const asked = ignorant.put('y')
      await s.sleep(250)
      found()
      await asked
      await s.until(() => s.running(epoch + 1))
    }
    await ignorant.puts('y', 2)
  }),
]
