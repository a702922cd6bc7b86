// What a primary tells of where its writes come from: operations it admitted, by the zones of its clerks, as far as members stand there.
import { beforeEach, expect, it } from 'vitest'
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Affinity, Report } from '@coppice/protocol'
import { TestClerk } from './harness/clerk.js'
import { change, startCluster } from './harness/setup.js'
import type { Setup } from './harness/setup.js'

const AUTO: Affinity = { ...DEFAULT_PARAMS.affinity, mode: 'auto', windowMs: 1_500 }

let clerks: TestClerk[] = []
beforeEach(() => (clerks = []))

/** Members a, b, c in east, west and nowhere. */
function zoned(affinity: Affinity = AUTO): Setup {
  const s = startCluster()
  const { configuration } = s.config
  const zoneById: Readonly<Record<string, string>> = { a: 'east', b: 'west' }
  const servers = configuration.servers.map((each) => {
    const zone = zoneById[each.id]
    return zone === undefined ? each : { ...each, zone }
  })
  const params = { ...configuration.params, affinity }
  s.config.configuration = { ...configuration, version: configuration.version + 1, servers, params }
  const { clerk } = s
  s.c.onClient = (server, connection, message) => {
    for (const each of [clerk, ...clerks]) if (each.connection === connection) each.on(server, message)
  }
  // The next grants carry it.
  s.c.run(500)
  return s
}

/** A registered clerk on a connection of its own. */
function clerkIn(s: Setup, connection: number, zone?: string): TestClerk {
  const clerk = new TestClerk(s.c, connection, 'a')
  clerks.push(clerk)
  if (zone !== undefined) s.c.client('a', connection, { kind: 'zone', zone })
  clerk.register()
  s.c.run(20)
  return clerk
}

function told(s: Setup, at = 'a'): Record<string, number> | undefined {
  s.c.run(400)
  const reports = s.c.sent.filter(({ from, message }) => from === at && message.kind === 'report')
  const writes = reports.map(({ message }) => (message as Report).writes).filter((each) => each !== undefined)
  const newest = writes.at(-1)
  return newest && Object.fromEntries(newest.map(({ zone, operations }) => [zone, operations]))
}

it('writes_areCountedByTheZoneOfTheirClerks', () => {
  const s = zoned()
  clerkIn(s, 11, 'east').add([1, 2])
  const west = clerkIn(s, 12, 'west')
  west.add([1, 2, 3])
  s.c.run(20)
  west.add([4])
  clerkIn(s, 13).add([1, 2, 3, 4, 5])
  expect(told(s)).toEqual({ east: 2, west: 4 })
  expect(told(s, 'b')).toBeUndefined()
})

it('zonesWithoutAMember_areNotTold', () => {
  const s = zoned()
  clerkIn(s, 11, 'south').add([1, 2])
  expect(told(s)).toEqual({ east: 0, west: 0 })
})

it('connectionsThatAreGone_countStill', () => {
  const s = zoned()
  clerkIn(s, 11, 'west').add([1, 2])
  s.c.run(20)
  s.c.input('a', { kind: 'clientGone', connection: 11 })
  clerkIn(s, 12, 'west').add([3])
  expect(told(s)).toEqual({ east: 0, west: 3 })
})

it('repeatedRequests_countOnce', () => {
  const s = zoned()
  const clerk = clerkIn(s, 11, 'west')
  clerk.add([1, 2])
  clerk.resend()
  clerk.resend()
  expect(told(s)).toEqual({ east: 0, west: 2 })
})

it('nextPrimary_countsFromNothing', () => {
  const s = zoned()
  const clerk = clerkIn(s, 11, 'west')
  clerk.add([1, 2, 3])
  s.c.client('b', 11, { kind: 'zone', zone: 'west' })
  s.c.run(50)
  change(s, ['b', 'a', 'c'])
  clerk.primary = 'b'
  clerk.add([4])
  expect(told(s, 'b')).toEqual({ east: 0, west: 1 })
})

it('nothingIsTold_whileThePrimaryStaysWhereItIs', () => {
  const s = zoned({ ...AUTO, mode: 'off' })
  clerkIn(s, 11, 'west').add([1, 2])
  expect(told(s)).toBeUndefined()
})
