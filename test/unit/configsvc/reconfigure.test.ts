import { describe, expect, it } from 'vitest'
import type { NodeId } from '@coppice/protocol'
import { Network } from './network.js'
import type { NetworkOptions } from './network.js'

const THREE = ['r1', 'r2', 'r3']

function running(options: NetworkOptions = {}): Network {
  const net = new Network({ replicas: 4, ...options })
  net.runUntil(
    () => net.main?.epoch === 1 && net.main.members.every((id) => net.replicas.get(id)!.leaseValid()),
    10_000,
    'epoch 1',
  )
  return net
}

function keepWriting(net: Network): void {
  const again = (): void => {
    net.write()
    net.after(7, again)
  }
  again()
}

function active(net: Network): boolean {
  return net.main!.members.every((id) => net.replicas.get(id)!.serves(net.main!.epoch))
}

describe('bootstrap', () => {
  it('bootstrap_onceWantedRegistered_formsEpochOne', () => {
    const net = running()
    expect(net.main).toMatchObject({ epoch: 1, start: 1, wanted: 3 })
    expect(net.main!.history.map((h) => [h.epoch, h.cause])).toEqual([[1, 'bootstrap']])
    expect(net.write()).toBe(true)
  })

  it('bootstrap_withTooFew_waitsAndSaysSo', () => {
    const net = new Network({ replicas: 2 })
    net.runFor(5_000)
    expect(net.main!.epoch).toBe(0)
    net.ask(net.leader!.id, 1, { kind: 'status', requestId: 1 })
    const answer = net.replies.at(-1)!.message
    expect(answer.kind === 'statusAnswer' && answer.status.note).toBe(
      'group main waits for 3 servers to register: 2 so far (r1, r2)',
    )
    net.addReplica('r3')
    net.untilActive(THREE)
  })

  it('bootstrap_ofASecondGroup_byItsReplicas', () => {
    const net = running()
    for (const id of ['x1', 'x2', 'x3']) net.addReplica(id, 'other')
    net.runUntil(() => net.newestByGroup.get('other')?.epoch === 1, 5_000, 'group other')
    expect(net.newestByGroup.get('other')).toMatchObject({
      members: ['x1', 'x2', 'x3'],
      clusterId: net.main!.clusterId,
    })
    // An id of one group does not register in another.
    net.addReplica('x9', 'other').storeId = 'strange'
    net.replicas.get('r4')!.group = 'other'
    net.runFor(1_000)
    expect(net.newestByGroup.get('other')!.servers.map((s) => s.id)).not.toContain('r4')
  })
})

describe('failover', () => {
  it('primaryKilled_nextEpochWithinTFailAndALittle', () => {
    const net = running()
    keepWriting(net)
    net.runFor(1_000)
    const [primary, ...others] = net.main!.members
    net.crash(primary!)
    const at = net.now
    net.runUntil(() => net.main!.epoch === 2 && active(net), 3_000, 'epoch 2')
    expect(net.now - at).toBeLessThan(1_300)
    expect(net.main!.members).toEqual(others)
    // The spare joins by a second, prepared attempt.
    net.runUntil(() => net.main!.members.length === 3 && active(net), 3_000, 'the spare joins')
    expect(net.main!.history.at(-1)).toMatchObject({ cause: 'restore', detail: 'r4 joins' })
    expect(net.replicas.get('r4')!.learned).toBe(true)
  })

  it('killedReplica_returnsAsMember_withoutASpare', () => {
    const net = running({ replicas: 3 })
    net.crash('r2')
    net.untilActive(['r1', 'r3'], 3_000)
    net.restart('r2')
    net.untilActive(['r1', 'r3', 'r2'], 3_000)
  })

  it('spareThatWaitedLong_joinsForGood', () => {
    const net = running()
    net.runFor(5_000)
    net.crash('r2')
    net.untilActive(['r1', 'r3', 'r4'], 3_000)
    const { epoch } = net.main!
    net.runFor(5_000)
    expect(net.main!.epoch).toBe(epoch)
  })

  it('wholeGroupRestarted_sameMembers_nothingCopied', () => {
    const net = running({ replicas: 3 })
    keepWriting(net)
    net.runFor(500)
    for (const id of THREE) net.crash(id)
    for (const id of THREE) net.restart(id)
    net.runUntil(() => net.main!.epoch === 2 && active(net), 3_000, 'epoch 2')
    expect(net.main!.members).toEqual(THREE)
    expect(net.main!.history.at(-1)!.catchUp.every((c) => c.how === 'none')).toBe(true)
    expect(net.main!.history.at(-1)!.detail).toContain('restarted as primary')
  })

  it('everythingRestarted_goesOnByItself', () => {
    const net = running({ replicas: 3 })
    keepWriting(net)
    net.runFor(500)
    const all = [...net.configs.keys(), ...THREE]
    for (const id of all) net.crash(id)
    net.runFor(100)
    for (const id of all) net.restart(id)
    net.runUntil(() => net.main!.epoch >= 2 && active(net), 8_000, 'an epoch')
    expect(net.main!.members).toEqual(THREE)
  })

  it('tooFewMembers_saysSo_andGoesOnWhenTheyReturn', () => {
    const net = running({ replicas: 3 })
    net.crash('r2')
    net.crash('r3')
    net.runUntil(() => net.eventsNamed('tooFewServers').length > 0, 3_000, 'tooFewServers')
    net.ask(net.leader!.id, 1, { kind: 'status', requestId: 1 })
    const answer = net.replies.at(-1)!.message
    expect(answer.kind === 'statusAnswer' && answer.status.note).toMatch(
      /stopped: only r1 is well, 2 of its members are needed/,
    )
    expect(net.main!.epoch).toBe(1)
    net.runFor(3_000)
    net.restart('r2')
    net.restart('r3')
    net.runUntil(() => net.main!.epoch > 1 && active(net) && net.main!.members.length === 3, 5_000, 'all three again')
    expect(net.eventsNamed('tooFewServers')).toHaveLength(1)
  })

  it('wipedReplica_neverStandsInForTheLostOne', () => {
    const net = running({ replicas: 3 })
    keepWriting(net)
    net.runFor(300)
    const r2 = net.replicas.get('r2')!
    net.crash('r2')
    Object.assign(r2, {
      storeId: 'wiped',
      epoch: 0,
      next: 1,
      sealedFor: 0,
      lineage: [[0, 0]],
      claim: 0,
      checkpointId: '',
    })
    net.restart('r2')
    // It is replaced first; then it may join as the new server it is.
    net.untilActive(['r1', 'r3'], 4_000)
    net.untilActive(['r1', 'r3', 'r2'], 4_000)
    expect(net.main!.servers.find((s) => s.id === 'r2')!.storeId).toBe('wiped')
  })

  it('amnesiacMember_isNeverASource', () => {
    const net = running({ replicas: 3 })
    keepWriting(net)
    net.runFor(500)
    const r3 = net.replicas.get('r3')!
    // An old copy of the disk under the same storeId: it lost operations it had acknowledged.
    net.crash('r1')
    net.crash('r3')
    r3.next = 2
    net.restart('r3')
    net.runUntil(() => net.main!.epoch > 1 || net.eventsNamed('tooFewServers').length > 0, 5_000, 'something')
    net.runFor(3_000)
    expect(net.eventsNamed('attemptAbandoned').some((f) => String(f['reason']).includes('r3 has lost data'))).toBe(true)
    expect(net.main!.epoch).toBe(1)
    net.restart('r1')
    net.runUntil(() => net.main!.epoch > 1 && active(net), 8_000, 'an epoch from r1 or r2')
    expect(net.main!.start).toBeGreaterThanOrEqual(net.committed)
  })

  it('fsyncTrouble_replacesTheReporter', () => {
    const net = running()
    net.replicas.get('r1')!.trouble = { kind: 'fsync', sinceMs: 1_100, waitingFor: ['r1'] }
    net.untilActive(['r2', 'r3', 'r4'], 4_000)
    expect(net.main!.history[1]!.detail).toContain('r1 has a stuck fsync')
  })

  it('uncommittedTrouble_replacesWhoeverIsWaitedFor', () => {
    const net = running()
    const r1 = net.replicas.get('r1')!
    r1.trouble = { kind: 'uncommitted', sinceMs: 1_100, waitingFor: ['r3'] }
    net.runUntil(() => net.main!.epoch === 2, 3_000, 'epoch 2')
    r1.trouble = undefined
    net.untilActive(['r1', 'r2', 'r4'], 4_000)
  })

  it('primaryThatWaitsForEverybody_isTheOneReplaced', () => {
    const net = running()
    net.replicas.get('r1')!.trouble = { kind: 'uncommitted', sinceMs: 1_100, waitingFor: ['r2', 'r3'] }
    net.runUntil(() => net.main!.epoch === 2, 3_000, 'epoch 2')
    expect(net.main!.members).toEqual(['r2', 'r3'])
  })

  it('targetThatNeedsAFullCopy_isLeftOut', () => {
    const net = running({ replicas: 3 })
    net.replicas.get('r3')!.catchUp = 'fullForEver'
    net.crash('r1')
    net.restart('r1') // cannotLead
    net.runUntil(() => net.main!.epoch > 1 && active(net), 4_000, 'an epoch')
    expect(net.main!.members).toEqual(['r1', 'r2'])
    net.replicas.get('r3')!.catchUp = 'delta'
    net.untilActive(['r1', 'r2', 'r3'], 4_000)
  })

  it('targetThatIgnoresEnter_isLeftOut', () => {
    const net = running({ replicas: 3 })
    net.replicas.get('r3')!.catchUp = 'mute'
    net.crash('r1')
    net.restart('r1')
    net.runUntil(() => net.main!.epoch > 1 && active(net), 4_000, 'an epoch')
    expect(net.main!.members).toEqual(['r1', 'r2'])
  })

  it('pausedPrimary_withALease_isWaitedOut', () => {
    const net = running({ skew: true, seed: 11 })
    keepWriting(net)
    net.runFor(400)
    // Cut off from the leader only after a fresh lease; reads could go on at it until the lease ends. The network checks I4.
    net.runUntil(() => net.replicas.get('r1')!.leaseValid(), 1_000, 'a lease')
    net.isolate('r1')
    net.runUntil(() => net.main!.epoch === 2 && net.main!.members.length === 2, 4_000, 'epoch 2')
    expect(net.replicas.get('r1')!.leaseValid()).toBe(false)
  })
})

describe('operator', () => {
  it('reconfigure_toAnEntirelyDifferentSet', () => {
    const net = running({ replicas: 6 })
    keepWriting(net)
    net.runFor(300)
    const result = net.reconfigure(['r6', 'r5', 'r4'])
    expect(result).toMatchObject({ ok: true, message: 'epoch 2: r6, r5, r4', epoch: 2 })
    expect(net.main).toMatchObject({ members: ['r6', 'r5', 'r4'], wanted: 3 })
    expect(['r4', 'r5', 'r6'].every((id) => net.replicas.get(id)!.learned)).toBe(true)
    net.runFor(3_000)
    expect(net.main!.epoch).toBe(2)
  })

  it('reconfigure_toFewer_isNotRestored', () => {
    const net = running()
    expect(net.reconfigure(['r2', 'r1']).ok).toBe(true)
    net.runFor(3_000)
    expect(net.main).toMatchObject({ members: ['r2', 'r1'], wanted: 2, epoch: 2 })
  })

  it('reconfigure_toMore_raisesWanted', () => {
    const net = running()
    expect(net.reconfigure(['r1', 'r2', 'r3', 'r4']).ok).toBe(true)
    expect(net.main).toMatchObject({ wanted: 4, epoch: 2 })
  })

  it.each([
    [[], 'no server is named; name at least one'],
    [['r1', 'r2', 'r1'], 'server r1 is named twice'],
    [['r1', 'r9'], 'server r9 of group main unknown; known are r1, r2, r3, r4'],
  ])('reconfigure_%j_isRefusedByName', (to: NodeId[], message: string) => {
    const net = running()
    const version = net.main!.version
    expect(net.reconfigure(to, 'bad')).toEqual({ requestId: 'bad', ok: false, message, epoch: 1 })
    expect(net.main!.version).toBe(version)
  })

  it('reconfigure_toADeadServer_isRefused', () => {
    const net = running()
    net.crash('r4')
    net.runFor(1_500)
    expect(net.reconfigure(['r1', 'r4'])).toMatchObject({
      ok: false,
      message: 'server r4 is not answering, so it cannot become a member',
    })
    expect(net.main!.epoch).toBe(1)
  })

  it('sameAdminId_isCarriedOutOnce', () => {
    const net = running()
    const first = net.reconfigure(['r2', 'r3', 'r1'], 'once')
    net.reconfigure(['r3', 'r2', 'r1'], 'other')
    expect(net.reconfigure(['r2', 'r3', 'r1'], 'once')).toEqual(first)
    // The answer may come from the list of replies; ask a fresh leader too.
    const old = net.leader!.id
    net.crash(old)
    net.runUntil(() => net.leader !== undefined, 5_000, 'a leader')
    net.replies.length = 0
    expect(net.reconfigure(['r2', 'r3', 'r1'], 'once')).toEqual(first)
    expect(net.main!.members).toEqual(['r3', 'r2', 'r1'])
  })

  it('reconfigure_toTheSameMembers_changesNothing', () => {
    const net = running()
    expect(net.reconfigure(net.main!.members)).toMatchObject({ ok: true, epoch: 1 })
    expect(net.main!.epoch).toBe(1)
  })

  it('learnerThatDies_failsTheRequest_andStopsNothing', () => {
    const net = running()
    net.replicas.get('r4')!.catchUp = 'fullForEver'
    keepWriting(net)
    net.after(500, () => net.crash('r4'))
    const committed = net.committed
    expect(net.reconfigure(['r4', 'r2', 'r3'])).toMatchObject({
      ok: false,
      message: 'server r4 went silent while it learned',
    })
    expect(net.main!.epoch).toBe(1)
    expect(net.committed).toBeGreaterThan(committed + 100)
  })

  it('learnerThatIsCloseBehindSteadyWrites_isReady', () => {
    const net = running()
    keepWriting(net)
    net.runFor(500)
    net.replicas.get('r4')!.learnsTo = () => net.committed - 5
    expect(net.reconfigure(['r4', 'r2', 'r3'], 'close', 3_000)).toMatchObject({ ok: true, epoch: 2 })
  })

  it('learnerThatComesNoNearer_butIsNotFarBehind_isReady', () => {
    const net = running()
    keepWriting(net)
    net.runFor(2_000)
    // About 1,400 ms of writes, one each 7 ms.
    net.replicas.get('r4')!.learnsTo = () => net.committed - 200
    expect(net.reconfigure(['r4', 'r2', 'r3'], 'behind', 10_000)).toMatchObject({ ok: true, epoch: 2 })
  })

  it('learnerThatIsSlowerThanTheWrites_failsTheRequest_andStopsNothing', () => {
    const net = running()
    keepWriting(net)
    net.runFor(7_000)
    let next = 1
    net.replicas.get('r4')!.learnsTo = () => (next += 13)
    const result = net.reconfigure(['r4', 'r2', 'r3'], 'slow', 1_000_000)
    expect(result.ok).toBe(false)
    expect(result.message).toMatch(/^server r4 learns no faster than group main writes: it stays \d+ ms behind$/)
    expect(net.main!.epoch).toBe(1)
  })

  it('learnerWhoseLogEndsInAnotherHistory_isNotTakenToBeNear', () => {
    const net = running()
    keepWriting(net)
    net.runFor(1_000)
    const r4 = net.replicas.get('r4')!
    r4.next = 10_000
    r4.catchUp = 'fullForEver'
    net.after(2_000, () => (r4.next = 1))
    net.after(3_000, () => (r4.learnsTo = () => net.committed))
    expect(net.reconfigure(['r4', 'r2', 'r3'], 'other')).toMatchObject({ ok: false })
    // It said that it was near only when it was, and then it could not enter.
    expect(net.eventsNamed('attemptStep').map(({ step }) => step)).toContain('enter')
    expect(net.now).toBeGreaterThan(4_000)
  })

  it('learnerThatIsReady_goesOnWhileAnotherLearns', () => {
    const net = running({ replicas: 5 })
    keepWriting(net)
    const [r4, r5] = [net.replicas.get('r4')!, net.replicas.get('r5')!]
    r5.catchUp = 'fullForEver'
    net.after(2_000, () => (r5.catchUp = 'delta'))
    expect(net.reconfigure(['r4', 'r5', 'r3'])).toMatchObject({ ok: true })
    expect(r4.learnings).toBeGreaterThan(15)
  })

  it('leaderThatStepsDownWhileItsResultIsProposed_sendsWhoeverWaitsElsewhere', () => {
    const net = running()
    const { id } = net.leader!
    for (const other of net.configs.keys()) if (other !== id) net.cut.add(`${id}>${other}`)
    const request = { kind: 'admin', requestId: 7, adminId: 'same', group: 'main', to: net.main!.members } as const
    net.ask(id, 1, request)
    net.runUntil(() => net.replies.length > 0, 5_000, 'an answer')
    expect(net.replies).toMatchObject([{ connection: 1, message: { kind: 'adminAnswer', requestId: 7, result: null } }])
    net.heal()
    expect(net.reconfigure([...request.to], 'same')).toMatchObject({ ok: true })
  })

  it('requestRepeatedWhileItsResultIsProposed_isNotTakenUpAgain', () => {
    const net = running()
    const { id } = net.leader!
    const { members } = net.main!
    const request = { kind: 'admin', requestId: 1, adminId: 'twice', group: 'main', to: members } as const
    net.ask(id, 1, request)
    net.ask(id, 2, request)
    net.runUntil(() => net.replies.length === 2, 5_000, 'two answers')
    expect(net.replies.map(({ connection }) => connection).sort()).toEqual([1, 2])
    expect(net.eventsNamed('adminAnswered')).toHaveLength(1)
  })

  it('failover_goesBeforeAPreparingRequest_andTheRequestFollows', () => {
    const net = running()
    const r4 = net.replicas.get('r4')!
    r4.catchUp = 'fullForEver'
    net.after(200, () => net.crash('r1'))
    net.after(2_500, () => (r4.catchUp = 'delta'))
    expect(net.reconfigure(['r4', 'r2', 'r3'])).toMatchObject({ ok: true })
    expect(net.main!.history.map((h) => h.cause)).toEqual(['bootstrap', 'failover', 'operator'])
  })

  it('operator_goesOnWhereTheGroupCannot', () => {
    const net = running()
    keepWriting(net)
    net.runFor(200)
    net.crash('r2')
    net.crash('r3')
    net.runUntil(() => net.eventsNamed('tooFewServers').length > 0, 3_000, 'tooFewServers')
    expect(net.reconfigure(['r1', 'r4'])).toMatchObject({ ok: true })
    expect(net.main).toMatchObject({ members: ['r1', 'r4'], wanted: 2 })
  })
})
