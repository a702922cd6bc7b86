// PROTOCOL P6 as a replica sees it: where it asks while config servers take the place of one another, and whom it believes.
import { DEFAULT_PARAMS } from '@coppice/protocol'
import type { Configuration } from '@coppice/protocol'
import { describe, expect, it } from 'vitest'
import { Cluster } from './harness/cluster.js'

const entry = (id: string) => ({ id, storeId: `store-${id}`, address: `${id}:1` })

function configuration(version: number, ...configServers: string[]): Configuration {
  return {
    clusterId: 'cluster',
    group: 'main',
    version,
    epoch: 0,
    members: [],
    start: 0,
    checkpointId: '',
    servers: [],
    configServers: configServers.map(entry),
    params: DEFAULT_PARAMS,
  }
}

/** One replica, started with `c1` on its command line, and what it reports to. */
class One {
  readonly cluster = new Cluster(['r1'])

  tell(from: string, what: Configuration | null, leader = ''): void {
    this.cluster.send(from, 'r1', {
      kind: 'answer',
      group: 'main',
      nonce: '',
      reason: '',
      leader,
      configuration: what,
    } as {
      kind: string
    })
    this.cluster.run(50)
  }

  asked(forMs = 1_000): string[] {
    this.cluster.sent.length = 0
    this.cluster.run(forMs)
    return [...new Set(this.cluster.sent.filter((s) => s.message.kind === 'report').map((s) => s.to))].sort()
  }

  restart(): void {
    this.cluster.run(50)
    this.cluster.crash('r1')
    this.cluster.start('r1')
  }

  /** Version of the configuration that it tells a clerk. */
  version(): number | undefined {
    let version: number | undefined
    this.cluster.onClient = (_id, _connection, m) => {
      if (m.kind === 'config') version = m.configuration?.version
    }
    this.cluster.client('r1', 1, { kind: 'getConfig', requestId: 1, group: 'main' })
    this.cluster.run(50)
    return version
  }
}

describe('config servers', () => {
  it('heardOf_areAsked_andSurviveARestart', () => {
    const one = new One()
    expect(one.asked()).toEqual(['c1'])
    one.tell('c1', configuration(1, 'c2', 'c3'))
    expect(one.asked()).toEqual(['c1', 'c2', 'c3'])
    one.restart()
    // The command line still counts: that list may be the newer one.
    expect(one.asked()).toEqual(['c1', 'c2', 'c3'])
    expect(one.version()).toBeUndefined()
  })

  it('unchangedList_isWrittenOnce', () => {
    const one = new One()
    const writes = () => one.cluster.server('r1').disk.meta
    one.tell('c1', configuration(1, 'c1', 'c2'))
    const kept = writes()
    expect(kept.configServers).toEqual([entry('c1'), entry('c2')])
    one.tell('c1', configuration(2, 'c1', 'c2'))
    expect(writes()).toBe(kept)
  })

  it('oneThatWasRemoved_mayTellWhoFollows_ifTheCommandLineNamesIt', () => {
    const one = new One()
    one.tell('c1', configuration(1, 'c2'))
    one.tell('c1', configuration(5, 'c3'))
    expect(one.version()).toBe(5)
  })

  it('strangerThatANewerConfigurationNames_isBelieved_noOther', () => {
    const one = new One()
    one.tell('c1', configuration(3, 'c2'))
    one.tell('c9', configuration(2, 'c9'))
    one.tell('c9', configuration(4, 'c8'))
    one.tell('c9', { ...configuration(4, 'c9'), clusterId: 'another' })
    one.tell('c9', { ...configuration(4), configServers: [{ ...entry('c9'), storeId: 'lost' }] })
    expect(one.version()).toBe(3)
    one.tell('c9', configuration(4, 'c9'), 'c9')
    expect(one.version()).toBe(4)
    expect(one.asked(300)).toEqual(['c9'])
  })

  it('stranger_mayNotSealOrGrant', () => {
    const one = new One()
    one.tell('c1', configuration(1, 'c2'))
    one.cluster.send('c1', 'r1', { kind: 'seal', group: 'main', epoch: 3, prev: 0 } as { kind: string })
    one.cluster.run(100)
    expect(one.cluster.view('r1').meta.sealedFor).toBe(0)
    one.cluster.send('c2', 'r1', { kind: 'seal', group: 'main', epoch: 3, prev: 0 } as { kind: string })
    one.cluster.run(100)
    expect(one.cluster.view('r1').meta.sealedFor).toBe(3)
  })
})
