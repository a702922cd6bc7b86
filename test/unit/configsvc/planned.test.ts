// Planned changes as the config service carries them out (PROTOCOL 2): they drain first, hand-overs keep the members, and a member that goes
// down is let go before it is silent.
import { expect, it } from 'vitest'
import { DEFAULT_PARAMS } from '@coppice/protocol'
import { RETURN_MS } from '../../../packages/configsvc/src/core/bounds.js'
import { Network } from './network.js'
import type { NetworkOptions } from './network.js'

function running(options: NetworkOptions = {}): Network {
  const net = new Network({ replicas: 3, ...options })
  net.runUntil(() => net.main?.epoch === 1 && net.main.members.every((id) => net.replicas.get(id)!.leaseValid()))
  return net
}

/** What was sent to replicas from here on, as `kind to`, once each. */
function listen(net: Network, ...kinds: string[]): string[] {
  const heard: string[] = []
  net.filter = (_from, to, { kind }) => {
    const what = `${kind} ${to}`
    if (kinds.includes(kind) && heard.at(-1) !== what) heard.push(what)
    return true
  }
  return heard
}

function handOver(net: Network, to: string, adminId = `to-${to}`): unknown {
  const from = net.replies.length
  net.ask(net.leader!.id, 1, { kind: 'admin', requestId: 1, adminId, group: 'main', to: [to], handover: true })
  net.runUntil(() => net.replies.length > from, 20_000, 'an answer')
  const { message } = net.replies.at(-1)!
  return message.kind === 'adminAnswer' ? message.result : undefined
}

it('handover_keepsTheMembers', () => {
  const net = running()
  expect(handOver(net, 'r3')).toMatchObject({ ok: true, epoch: 2 })
  expect(net.main).toMatchObject({ members: ['r3', 'r1', 'r2'], wanted: 3 })
  expect(net.main!.history.at(-1)).toMatchObject({ cause: 'operator', detail: 'hand over to r3' })
})

it('handover_toThePrimary_isDoneAlready', () => {
  const net = running()
  expect(handOver(net, 'r1')).toMatchObject({ ok: true, message: 'epoch 1 has this primary already' })
  expect(net.main!.epoch).toBe(1)
})

it('handover_toWhoeverIsNoMember_isRefused', () => {
  const net = running({ replicas: 4 })
  const spare = ['r1', 'r2', 'r3', 'r4'].find((id) => !net.main!.members.includes(id))!
  expect(handOver(net, spare)).toMatchObject({ ok: false, message: expect.stringContaining('is not a member') })
})

it('plannedChange_drainsTheTargetFirst_thenThePrimary_whoseAnswerSealsTheEpoch', () => {
  const net = running()
  const heard = listen(net, 'announce', 'drain', 'drained', 'seal', 'sealReply', 'enter')
  expect(handOver(net, 'r2')).toMatchObject({ ok: true })
  expect(heard[0]).toMatch(/^announce/)
  const asked = heard.filter((what) => /^(drain|seal|enter) /.test(what))
  expect(asked.slice(0, 2)).toEqual(['drain r2', 'drain r1'])
  // One answer is enough: nobody is asked to seal, and ENTER follows at once.
  expect(asked[2]).toMatch(/^enter/)
  expect(asked.filter((what) => what.startsWith('seal'))).toEqual([])
  expect(net.main!.history.at(-1)!.catchUp.map(({ how }) => how)).toEqual(['none', 'none', 'none'])
})

it('drainedPrimary_thatLacksWhatItReported_orHasSomethingInFlight_isNotEnough_allAreSealed', () => {
  for (const wrong of ['lost', 'inFlight'] as const) {
    const net = running()
    const r1 = net.replicas.get('r1')!
    for (let i = 0; i < 5; i++) net.write()
    net.runFor(500)
    const { next } = r1
    const sealed = new Set<string>()
    net.filter = (_from, to, { kind }) => {
      if (kind === 'seal') sealed.add(to)
      if (kind === 'drain' && to === 'r1' && wrong === 'lost') r1.next = next - 1
      if (kind === 'drain' && wrong === 'inFlight') r1.uncommitted = 1
      return true
    }
    const ended = wrong === 'lost' ? { ok: false, message: 'r1 has lost data' } : { ok: true }
    expect(handOver(net, 'r2')).toMatchObject(ended)
    expect([...sealed]).toEqual(['r1', 'r2', 'r3'])
    net.runUntil(() => net.main!.epoch > 1, 5_000, 'the next epoch')
    expect(net.main!.start).toBe(next)
  }
})

it('primaryThatMayNotLead_isSealedWithTheOthers', () => {
  const net = running()
  net.replicas.get('r1')!.claimedBefore = 1
  const heard = listen(net, 'seal')
  expect(handOver(net, 'r2')).toMatchObject({ ok: true })
  expect(heard).toContain('seal r3')
})

it('failover_drainsNobody', () => {
  const net = running()
  const heard = listen(net, 'drain', 'announce')
  net.crash('r1')
  net.runUntil(() => net.main!.epoch === 2, 5_000)
  expect(heard).toEqual([])
})

it('drain_thatDoesNotEnd_isBounded', () => {
  const net = running()
  net.replicas.get('r1')!.drains = false
  const at = net.now
  expect(handOver(net, 'r2')).toMatchObject({ ok: true, epoch: 2 })
  expect(net.now - at).toBeGreaterThan(DEFAULT_PARAMS.failMs / 2)
  expect(net.now - at).toBeLessThan(DEFAULT_PARAMS.failMs)
})

it('targetThatSaysNothing_isNotWaitedForLong', () => {
  const net = running()
  net.replicas.get('r2')!.drains = false
  const at = net.now
  expect(handOver(net, 'r2')).toMatchObject({ ok: true })
  expect(net.now - at).toBeLessThan(DEFAULT_PARAMS.failMs / 2)
})

it('attemptGivenUpAfterItsDrain_letsThePrimaryAdmitAgain', () => {
  const net = running()
  const [r1, r2] = [net.replicas.get('r1')!, net.replicas.get('r2')!]
  r2.catchUp = 'mute'
  expect(handOver(net, 'r2')).toMatchObject({ ok: false })
  expect(r1.resumed).toBe(1)
  expect(r2.resumed).toBe(1)
})

it('memberThatGoesDown_isLetGo_beforeItIsSilent', () => {
  const net = running()
  const r1 = net.replicas.get('r1')!
  r1.leaving = true
  const at = net.now
  net.runUntil(() => r1.mayLeave, 5_000, 'leave')
  expect(net.now - at).toBeLessThan(DEFAULT_PARAMS.failMs)
  expect(net.main).toMatchObject({ members: ['r2', 'r3'], wanted: 3 })
  expect(net.main!.history.at(-1)).toMatchObject({ cause: 'leave', detail: 'r1 goes down' })
  // It is not taken back before it has started again.
  net.runFor(2_000)
  expect(net.main!.members).toEqual(['r2', 'r3'])
  net.crash('r1')
  net.restart('r1')
  net.untilActive(['r2', 'r3', 'r1'])
})

it('memberThatTheGroupCannotDoWithout_isNotHeldUp', () => {
  const net = running({ replicas: 2, wanted: 2 })
  const r1 = net.replicas.get('r1')!
  r1.leaving = true
  net.runUntil(() => r1.mayLeave, 2_000, 'leave')
  expect(net.main!.epoch).toBe(1)
})

it('allThatGoDownAtOnce_areLetGo', () => {
  const net = running()
  const all = [...net.replicas.values()]
  for (const r of all) r.leaving = true
  net.runUntil(() => all.every((r) => r.mayLeave), 2_000, 'leave')
})

it('leave_goesBeforeARequestThatPrepares_andTheRequestFollows', () => {
  const net = running({ replicas: 4 })
  const { members } = net.main!
  const [spare] = [...net.replicas.keys()].filter((id) => !members.includes(id))
  net.replicas.get(spare!)!.catchUp = 'fullForEver'
  net.after(300, () => (net.replicas.get('r1')!.leaving = true))
  net.after(2_000, () => (net.replicas.get(spare!)!.catchUp = 'delta'))
  expect(net.reconfigure([spare!, 'r2', 'r3'])).toMatchObject({ ok: true })
  expect(net.main!.history.map((h) => h.cause).slice(0, 2)).toEqual(['bootstrap', 'leave'])
})

it('serverThatGoesDown_isNoTarget', () => {
  const net = running({ replicas: 2, wanted: 2 })
  net.replicas.get('r2')!.leaving = true
  net.runFor(400)
  expect(handOver(net, 'r2')).toMatchObject({ ok: false, message: expect.stringContaining('is going down') })
})

it('memberThatWentDown_keepsItsPlace_aSpareDoesNotTakeIt', () => {
  const net = running({ replicas: 4 })
  const [gone, ...stay] = net.main!.members
  const replica = net.replicas.get(gone!)!
  replica.leaving = true
  net.runUntil(() => replica.mayLeave, 5_000, 'leave')
  net.crash(gone!)
  net.runFor(RETURN_MS / 2)
  expect(net.main!.members).toEqual(stay)
  net.restart(gone!)
  net.untilActive([...stay, gone!])
})

it('memberThatDoesNotComeBack_isReplacedByASpare', () => {
  const net = running({ replicas: 4 })
  const [gone, ...stay] = net.main!.members
  const spare = [...net.replicas.keys()].find((id) => !net.main!.members.includes(id))!
  const replica = net.replicas.get(gone!)!
  replica.leaving = true
  net.runUntil(() => replica.mayLeave, 5_000, 'leave')
  net.crash(gone!)
  net.runFor(RETURN_MS + DEFAULT_PARAMS.failMs)
  expect(net.main!.members).toEqual([...stay, spare])
})

it('memberThatFellSilent_isNotWaitedFor', () => {
  const net = running({ replicas: 4 })
  const [gone, ...stay] = net.main!.members
  const spare = [...net.replicas.keys()].find((id) => !net.main!.members.includes(id))!
  net.crash(gone!)
  net.runFor(RETURN_MS / 2)
  expect(net.main!.members).toEqual([...stay, spare])
})

it('memberThatGoesDown_toldToANewLeader_isLetGoByAnEpochOnly', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const net = running({ seed })
    const backup = net.main!.members[1]!
    const replica = net.replicas.get(backup)!
    net.crash(net.leader!.id)
    replica.leaving = true
    net.runUntil(() => replica.mayLeave, 10_000, 'leave')
    // The new leader heard of it before it had heard of the others.
    expect(net.main!.members).not.toContain(backup)
  }
})

it('memberThatGoesDown_relinquishesBesideEnter', () => {
  const net = running()
  const heard = listen(net, 'enter', 'relinquish', 'relinquished', 'enterReply')
  net.replicas.get('r2')!.leaving = true
  net.runUntil(() => net.main!.epoch === 2, 5_000, 'leave')
  expect(heard.indexOf('relinquish r2')).toBeGreaterThan(-1)
  expect(heard.indexOf('relinquish r2')).toBeLessThan(heard.findIndex((what) => what.startsWith('enterReply')))
})

it('memberThatIsMovedAway_keepsItsLeaseUntilAllEntered', () => {
  const net = running({ replicas: 4 })
  const { members } = net.main!
  const spare = [...net.replicas.keys()].find((id) => !members.includes(id))!
  const heard = listen(net, 'relinquish', 'enterReply')
  expect(net.reconfigure([members[0]!, members[1]!, spare])).toMatchObject({ ok: true })
  expect(heard.indexOf(`relinquish ${members[2]}`)).toBeGreaterThan(
    heard.findIndex((what) => what.startsWith('enterReply')),
  )
})
