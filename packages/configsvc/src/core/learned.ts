// The newest values this server knows to be chosen, and how one without a vote (removed, not added yet, or with another store than the recorded
// one) learns them (PROTOCOL P6): it asks, and is told; it never takes part in choosing.
import { DEFAULT_GROUP } from '@coppice/protocol'
import type { ClusterId, ConfigState, ConfigToConfig, GroupName, NodeId } from '@coppice/protocol'

type Question = Extract<ConfigToConfig, { kind: 'askChosen' }>
type Answer = Extract<ConfigToConfig, { kind: 'chosen' }>

export class Learned {
  private readonly byGroup = new Map<GroupName, ConfigState>()

  get groups(): readonly GroupName[] {
    return [...this.byGroup.keys()]
  }
  /** The value that says who votes. */
  get main(): ConfigState | undefined {
    return this.byGroup.get(DEFAULT_GROUP)
  }
  of(group: GroupName): ConfigState | undefined {
    return this.byGroup.get(group)
  }

  /** Answers whether the value is news. */
  learn(value: ConfigState): boolean {
    const known = this.byGroup.get(value.group)
    if (known !== undefined && known.version >= value.version) return false
    this.byGroup.set(value.group, value)
    return true
  }

  question(): Question {
    return { kind: 'askChosen', known: [...this.byGroup.values()].map((v) => [v.group, v.version]) }
  }

  /** What is newer than `known`; undefined: nothing to tell. */
  answer(known: Question['known'], leader: NodeId): Answer | undefined {
    const versions = new Map(known)
    const values = [...this.byGroup.values()].filter((v) => v.version > (versions.get(v.group) ?? 0))
    return values.length === 0 && leader === '' ? undefined : { kind: 'chosen', leader, values }
  }

  /** For a server that stands without a vote: the value that says so is enough. */
  refusal(leader: NodeId): Answer | undefined {
    return this.main === undefined ? undefined : { kind: 'chosen', leader, values: [this.main] }
  }

  /** Values of this cluster alone; '' is a server that has not been told its cluster. */
  ofCluster(values: readonly ConfigState[], clusterId: ClusterId): readonly ConfigState[] {
    return values.filter((v) => clusterId === '' || v.clusterId === clusterId)
  }
}
