// A rolling restart: in which order, who takes over, what the operator's command becomes, and what keeps a cluster from being whole.
import { describe, expect, it } from 'vitest'
import type { AdminClient } from '@coppice/clerk'
import { CoppiceError } from '@coppice/protocol'
import type { ConfigState, ProcessStatus } from '@coppice/protocol'
import { lookAt } from '../../../packages/cli/src/restart/health.js'
import { successorOf, targetsOf } from '../../../packages/cli/src/restart/order.js'
import type { Target } from '../../../packages/cli/src/restart/order.js'
import { rollingRestart } from '../../../packages/cli/src/restart/rolling.js'
import { commandFor, restartByCommand } from '../../../packages/cli/src/restart/ways.js'

const SILENCE = new CoppiceError('no answer', { code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true })

/** A cluster that answers from memory: c1 leads, r2 is primary, r4 a spare. */
class FakeCluster {
  members = ['r2', 'r1', 'r3']
  epoch = 7
  readonly began = new Map<string, number>()
  readonly changed = new Map<string, Partial<ProcessStatus> | 'silent'>()
  readonly log: string[] = []

  get state(): ConfigState {
    const entry = (id: string): { id: string; storeId: string; address: string } => ({
      id,
      storeId: id,
      address: `${id}:1`,
    })
    const { members, epoch } = this
    const [configServers, servers] = [['c1', 'c2', 'c3'].map(entry), ['r1', 'r2', 'r3', 'r4'].map(entry)]
    return { group: 'main', epoch, members, wanted: 3, configServers, servers, history: [], params: {} } as never
  }

  readonly admin = {
    getGroup: () => Promise.resolve({ leader: 'c1', state: this.state }),
    status: (address: string) => {
      const id = address.split(':')[0]!
      const changed = this.changed.get(id)
      if (changed === 'silent') return Promise.reject(SILENCE)
      return Promise.resolve({ ...this.status(id), ...changed })
    },
    handover: (to: string) => {
      this.log.push(`handover ${to}`)
      this.members = [to, ...this.members.filter((id) => id !== to)]
      this.epoch++
      return Promise.resolve({ ok: true, message: '' })
    },
  } as unknown as AdminClient

  restart({ id }: Target): Promise<void> {
    this.log.push(`restart ${id}`)
    this.began.set(id, performance.now())
    return Promise.resolve()
  }

  private status(id: string): ProcessStatus {
    const at = this.members.indexOf(id)
    const role =
      id === 'c1' ? 'leader' : id.startsWith('c') ? 'configsvc' : at < 0 ? 'spare' : at === 0 ? 'primary' : 'backup'
    const began = this.began.get(id)
    const uptimeMs = began === undefined ? 1e9 : Math.floor(performance.now() - began)
    return {
      id,
      role,
      epoch: this.epoch,
      lease: 500,
      note: '',
      uptimeMs,
      durableIndex: 9,
      commitIndex: 9,
    } as ProcessStatus
  }
}

describe('targetsOf', () => {
  it('configServersThenTheirLeader_spares_backups_primaryLast', async () => {
    const targets = targetsOf(await lookAt(new FakeCluster().admin))
    expect(targets.map(({ id }) => id)).toEqual(['c2', 'c3', 'c1', 'r4', 'r1', 'r3', 'r2'])
  })
})

describe('successorOf', () => {
  it('prefersWhoNeedsNoRestartAnyMore', () => {
    expect(successorOf(['r1', 'r2', 'r3'], new Set(['r1', 'r2']))).toBe('r3')
    expect(successorOf(['r1', 'r2', 'r3'], new Set(['r1', 'r2', 'r3']))).toBe('r2')
    expect(successorOf(['r1'], new Set(['r1']))).toBeUndefined()
  })
})

describe('lookAt', () => {
  const problems = async (change: (cluster: FakeCluster) => void): Promise<string> => {
    const cluster = new FakeCluster()
    change(cluster)
    return (await lookAt(cluster.admin)).problems.join('; ')
  }
  it('wholeCluster_hasNoProblem_aSilentSpareIsNone', async () => {
    expect(await problems((c) => c.changed.set('r4', 'silent'))).toBe('')
  })
  it.each([
    ['config server c2 does not answer', 'c2', 'silent'],
    ['no config server leads', 'c1', { role: 'configsvc' }],
    ['config server c3: no leader is known', 'c3', { note: 'no leader is known' }],
    ['member r3 does not answer', 'r3', 'silent'],
    ['member r3 holds no lease', 'r3', { lease: 'none' }],
    ['member r1 is backup of epoch 6, not yet backup of epoch 7', 'r1', { epoch: 6 }],
    ['member r2: sealed for epoch 8', 'r2', { note: 'sealed for epoch 8' }],
    ['member r1 is behind the primary', 'r2', { commitIndex: 50_000, durableIndex: 50_000 }],
  ] as const)('says_%s', async (words, id, change) => {
    expect(await problems((c) => c.changed.set(id, change))).toContain(words)
  })
  it('says_missingMembers', async () => {
    expect(await problems((c) => (c.members = ['r2', 'r1']))).toContain('2 of 3 members (r2, r1)')
  })
})

describe('rollingRestart', () => {
  const run = (cluster: FakeCluster, ids: readonly string[]): ReturnType<typeof rollingRestart> => {
    const { admin } = cluster
    const restart = (target: Target): Promise<void> => cluster.restart(target)
    return rollingRestart(ids, { admin, restart, withinMs: 500, onProgress: () => undefined })
  }
  it('primary_handsOverFirst', async () => {
    const cluster = new FakeCluster()
    const steps = await run(cluster, ['r2', 'r1', 'c2'])
    expect(cluster.log).toEqual(['restart c2', 'restart r1', 'handover r1', 'restart r2'])
    expect(steps.map(({ action, part }) => `${action} ${part}`).slice(2)).toEqual([
      'handover primary',
      'restart backup',
    ])
  })
  it('clusterThatDoesNotHeal_stopsIt_withWhatIsDoneAndHowToGoOn', async () => {
    const cluster = new FakeCluster()
    const restart = cluster.restart.bind(cluster)
    cluster.restart = (target) => {
      if (target.id === 'r1') cluster.changed.set('r1', 'silent')
      return restart(target)
    }
    await expect(run(cluster, ['c2', 'r1', 'r3'])).rejects.toThrow(
      /r1 was restarted, but .* r1 is not up.*restarted before: c2.*coppice restart r1 r3$/,
    )
    expect(cluster.log).toEqual(['restart c2', 'restart r1'])
  })
  it('processThatGoesOn_wasNotRestarted', async () => {
    const cluster = new FakeCluster()
    cluster.restart = () => Promise.resolve()
    await expect(run(cluster, ['c2'])).rejects.toThrow('c2 has not ended')
  })
})

describe('commandFor', () => {
  const target = { id: 'r1', kind: 'replica', address: '[fd00::7]:7111', part: 'backup' } as const
  it('putsInWhatIsTheServersOwn_leavesTheRest', () => {
    const command = commandFor('ssh {host} restart {id} {port} {kind} ${HOME} {a,b}', target)
    expect(command).toBe('ssh fd00::7 restart r1 7111 replica ${HOME} {a,b}')
  })
  it('nothingThatAShellWouldRead_isPutIn', () => {
    expect(() => commandFor('ssh {host}', { ...target, address: '$(reboot):1' })).toThrow('host of r1')
  })
  it('commandThatNamesNoServer_isRefused', () => {
    expect(() => restartByCommand('systemctl restart coppice')).toThrow('names no server')
  })
})
