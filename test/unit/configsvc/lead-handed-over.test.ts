// A config leader that goes away lets another one stand at once (PROTOCOL P5): removed from the list, or told to end.
import { expect, it } from 'vitest'
import { Network } from './network.js'

/** Far below the time after which a leader is missed: some messages and writes. */
const AT_ONCE_MS = 30

function running(configs = 3): Network {
  const net = new Network({ configs, replicas: 3 })
  net.untilActive(['r1', 'r2', 'r3'])
  net.runFor(300)
  return net
}

it('leaderThatIsToldToEnd_isFollowedAtOnce_andEnds', () => {
  const net = running()
  const { id } = net.leader!
  net.leave(id)
  net.untilOtherLeads(id, AT_ONCE_MS)
  net.runUntil(() => net.left(id) !== undefined, AT_ONCE_MS, 'its end')
  net.crash(id)
  expect(net.reconfigure(['r2', 'r1', 'r3'])).toMatchObject({ ok: true })
})

it('leaderThatIsToldToEnd_withOneServerDown_givesItsPromiseFirst', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const net = new Network({ replicas: 3, seed })
    net.untilActive(['r1', 'r2', 'r3'])
    const { id } = net.leader!
    const [down] = [...net.configs.keys()].filter((other) => other !== id)
    net.crash(down!)
    net.runFor(800)
    net.leave(id)
    net.runUntil(() => net.left(id) !== undefined, 1_000, 'its end')
    net.crash(id)
    // What it promised is on its way; without it there would be no majority.
    net.untilOtherLeadsAlone(id)
  }
})

it('leaderThatIsRemoved_isFollowedAtOnce', () => {
  const net = running(5)
  const { id } = net.leader!
  expect(net.change({ add: null, remove: id })).toMatchObject({ ok: true })
  net.untilOtherLeads(id, AT_ONCE_MS)
})

it('followerThatIsToldToEnd_endsAtOnce_andStandsNoMore', () => {
  const net = running()
  const { id } = net.leader!
  const [follower, other] = [...net.configs.keys()].filter((c) => c !== id)
  net.leave(follower!)
  expect(net.left(follower!)).toBe('it does not lead')
  net.crash(id)
  net.untilOtherLeads(id, 5_000)
  expect(net.leader!.id).toBe(other)
})

it('serverThatLacksTheNewestValue_isNotAsked', () => {
  for (const behind of ['c1', 'c2', 'c3']) {
    const net = running()
    const { id } = net.leader!
    if (behind === id) continue
    net.cut.add(`${id}>${behind}`)
    net.runFor(50)
    expect(net.setAffinity('auto')).toMatchObject({ ok: true })
    net.cut.clear()
    const asked: string[] = []
    net.filter = (_from, to, { kind }) => {
      if (kind === 'stand') asked.push(to)
      return true
    }
    net.leave(id)
    net.runUntil(() => asked.length > 0, 1_000, 'the question')
    expect(asked[0]).not.toBe(behind)
  }
})

it('leaderAlone_endsAtOnce_andOneThatNobodyHears_withinItsBound', () => {
  const alone = running(1)
  alone.leave('c1')
  expect(alone.left('c1')).toBe('no other config server could lead at once')
  const net = running()
  const { id } = net.leader!
  for (const other of net.configs.keys()) if (other !== id) net.crash(other)
  net.leave(id)
  net.runUntil(() => net.left(id) !== undefined, 1_000, 'its end')
})

it('questionOfAFormerLeader_comesLate_andDisturbsNobody', () => {
  const net = running()
  const old = net.leader!
  const { ballot } = old.core!.view
  net.leave(old.id)
  net.untilOtherLeads(old.id, AT_ONCE_MS)
  const { id, core } = net.leader!
  const third = [...net.configs.keys()].find((c) => c !== id && c !== old.id)!
  for (const to of [id, third]) net.tell(old.id, to, { kind: 'stand', ballot: ballot! })
  net.runFor(1_500)
  expect(net.leader!.id).toBe(id)
  expect(net.leader!.core!.view.ballot).toEqual(core!.view.ballot)
})

it('newLeader_tellsReplicasAtOnceThatItLeads', () => {
  const net = running()
  const { id } = net.leader!
  net.leave(id)
  net.untilOtherLeads(id, AT_ONCE_MS)
  net.crash(id)
  net.runFor(5)
  for (const r of net.replicas.values()) expect(r.leader).toBe(net.leader!.id)
})
