// Reads of a clerk that says where it stands: at a member of its zone while one can be asked, elsewhere meanwhile.
import { describe, expect, test } from 'vitest'
import type { Clerk } from '@coppice/clerk/core'
import { FakeCluster, bytesOf, textOf } from './support/fake-cluster.js'

/** r1 in east, r2 and r3 in west. */
function zoned(seed: number): FakeCluster {
  const cluster = new FakeCluster(seed)
  const { configuration } = cluster
  const zoneById: Readonly<Record<string, string>> = { r1: 'east', r2: 'west', r3: 'west', r4: 'north' }
  const servers = configuration.servers.map((s) => ({ ...s, zone: zoneById[s.id]! }))
  cluster.configuration = { ...configuration, servers }
  return cluster
}

/** Where these reads go once all links are open. */
async function readAt(cluster: FakeCluster, clerk: Clerk, reads = 5): Promise<string[]> {
  const before = cluster.heard.length
  for (let i = 0; i < reads; i++) expect(textOf(await cluster.time.until(clerk.read(bytesOf('q')), 3_000))).toBe('q')
  const frames = cluster.heard.slice(before).filter(({ message }) => message.kind === 'reads')
  return [...new Set(frames.map(({ at }) => at))].sort()
}

async function opened(cluster: FakeCluster, zone: string): Promise<Clerk> {
  const clerk = cluster.newClerk({ zone })
  await cluster.time.until(clerk.ready())
  await cluster.time.run(20)
  return clerk
}

describe('a clerk of a zone', () => {
  test('reads_atTheMemberOfItsZone', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = zoned(seed)
      const clerk = await opened(cluster, 'east')
      expect(await readAt(cluster, clerk)).toEqual(['r1'])
      await clerk.close()
    }
  })

  test('reads_keepOneOfSeveralOfTheZone_andClerksDiffer', async () => {
    const used = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = zoned(seed)
      const clerk = await opened(cluster, 'west')
      const at = await readAt(cluster, clerk)
      expect(at.length).toBe(1)
      used.add(at[0]!)
      await clerk.close()
    }
    expect([...used].sort()).toEqual(['r2', 'r3'])
  })

  test('reads_withoutAMemberOfTheZone_areSpreadOverAll', async () => {
    const used = new Set<string>()
    for (let seed = 1; seed <= 30; seed++) {
      const cluster = zoned(seed)
      // r4 stands in north, but is a spare.
      const clerk = await opened(cluster, 'north')
      const at = await readAt(cluster, clerk)
      expect(at.length).toBe(1)
      used.add(at[0]!)
      await clerk.close()
    }
    expect([...used].sort()).toEqual(['r1', 'r2', 'r3'])
  })

  test('reads_goElsewhereWhileTheMemberOfTheZoneIsGone_andComeBack', async () => {
    const cluster = zoned(3)
    const clerk = await opened(cluster, 'east')
    cluster.network.kill('r1:1')
    const away = await readAt(cluster, clerk)
    expect(away.length).toBe(1)
    expect(away).not.toContain('r1')
    await cluster.time.run(5_000)
    // Nothing is there: what is dialled meanwhile moves no read.
    expect(await readAt(cluster, clerk)).toEqual(away)
    cluster.startReplica('r1')
    await cluster.time.run(2_000)
    expect(await readAt(cluster, clerk)).toEqual(['r1'])
    await clerk.close()
  })

  test('reads_goElsewhereWhileTheMemberOfTheZoneIsBehind_andComeBack', async () => {
    const cluster = zoned(4)
    const clerk = await opened(cluster, 'east')
    cluster.refuse = (at, message) => (message.kind === 'reads' && at === 'r1' ? 'behind' : undefined)
    expect(await readAt(cluster, clerk, 1)).toContain('r1')
    expect(await readAt(cluster, clerk, 1)).not.toContain('r1')
    cluster.refuse = undefined
    await cluster.time.run(2_000)
    expect(await readAt(cluster, clerk)).toEqual(['r1'])
    await clerk.close()
  })

  test('reads_moveWhenAMemberOfTheZoneJoins', async () => {
    const cluster = zoned(5)
    const clerk = await opened(cluster, 'north')
    await readAt(cluster, clerk)
    cluster.elect(['r1', 'r2', 'r4'])
    // Whoever is asked speaks of the new epoch.
    await readAt(cluster, clerk)
    await cluster.time.run(100)
    expect(await readAt(cluster, clerk)).toEqual(['r4'])
    await clerk.close()
  })
})

describe('what replicas are told', () => {
  const said = (cluster: FakeCluster): string[] =>
    cluster.heard.flatMap(({ at, message }) => (message.kind === 'zone' ? [`${at} ${message.zone}`] : [])).sort()

  test('zone_isSaidOncePerConnection_andAgainWhenAnEpochBegins', async () => {
    const cluster = zoned(6)
    const clerk = await opened(cluster, 'east')
    expect(said(cluster)).toEqual(['r1 east', 'r2 east', 'r3 east'])
    for (let i = 0; i < 5; i++) await cluster.time.until(clerk.submit(bytesOf('w')))
    expect(said(cluster).length).toBe(3)
    cluster.heard.length = 0
    cluster.elect(['r2', 'r1', 'r3'])
    await cluster.time.until(clerk.submit(bytesOf('w')), 3_000)
    await cluster.time.run(100)
    expect(said(cluster)).toEqual(['r1 east', 'r2 east', 'r3 east'])
    await clerk.close()
  })

  test('clerkWithoutAZone_saysNothing', async () => {
    const cluster = zoned(7)
    const clerk = cluster.newClerk()
    await cluster.time.until(clerk.submit(bytesOf('w')))
    expect(said(cluster)).toEqual([])
    await clerk.close()
  })
})
