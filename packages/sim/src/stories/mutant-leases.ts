// Directed stories about who may hold a lease while leaders and epochs change (PROTOCOL 1 P4, 2.6, 3 L2, L4).
import { scripted } from './mutant-kit.js'
import type { Story } from './stories.js'

export const LEASE_STORIES: readonly Story[] = [
  // A member is cut off with a lease in hand, and an operator asks at once for an epoch without it: its lease is waited for.
  scripted('member-is-cut-off-and-left-out', async (s) => {
    const [primary, backup, holder] = s.members
    await s.sleep(800)
    await s.until(() => holder!.view!.leaseValid(holder!.clock.now()))
    s.cut(holder!.id, s.c.names)
    s.c.requestReconfiguration([primary!, backup!])
    await s.until(() => s.c.oracle.registers.epoch > 1, 3_000)
  }),
  // A leader is deposed within moments and does not know it; one member reaches nobody else and goes on asking it for leases.
  scripted('deposed-leader-is-asked-for-leases', async (s) => {
    const old = s.leader
    const lonely = s.members[2]!
    await s.coup(() => {
      s.cut(
        lonely.id,
        s.c.names.filter((id) => id !== old.id),
      )
      s.cut(
        old.id,
        s.c.names.filter((id) => id !== lonely.id),
      )
    })
    await s.until(() => s.c.oracle.registers.epoch > 1)
    await s.sleep(200)
  }),
  // A new leader is elected within moments and asked at once for an epoch without a member that just got a lease from the old one.
  scripted('new-leader-is-asked-at-once', async (s) => {
    const old = s.leader
    const [primary, backup, holder] = s.members
    await s.until(() => holder!.view!.leaseValid(holder!.clock.now()))
    const rival = await s.coup((newLeader) => {
      s.join(old.id, [newLeader.id])
      s.cut(holder!.id, s.c.names)
    })
    await s.until(() => rival.view?.chosen('main') !== undefined)
    s.c.requestReconfiguration([primary!, backup!])
    await s.until(() => s.c.oracle.registers.epoch > 1, 3_000)
  }),
  // The activation is proposed and its messages are lost for a while. A member that was cut off until then asks for a lease of the old epoch.
  scripted('activation-on-its-way', async (s) => {
    const [, , away] = s.members
    const found = s.lose((_from, _to, message) => message.kind === 'propose' && message.value.epoch > 1)
    let proposed = false
    s.c.onEvent = (_node, name, fields) => (proposed ||= name === 'attemptStep' && fields['step'] === 'activate')
    s.cut(away!.id, s.c.names)
    await s.until(() => proposed)
    await s.sleep(250)
    s.join(away!.id, s.c.names)
    await s.until(() => away!.view!.leaseValid(away!.clock.now()), 1_200)
    found()
    await s.until(() => s.c.oracle.registers.epoch > 1)
  }),
]
