// Directed stories about the config servers themselves while they change (PROTOCOL 1 P3, P6).
import type { ConfigHost } from '../hosts/config-host.js'
import { scripted } from './mutant-kit.js'
import type { Script } from './mutant-kit.js'
import type { Story } from './stories.js'

/** Asks for `old` to be replaced by a new server, which is returned. */
function replace(s: Script, old: ConfigHost | null): ConfigHost {
  const next = s.c.newConfigServer()
  s.c.requestConfigServers({ add: { id: next.id, address: next.address }, remove: old?.id ?? null })
  return next
}

function followers(s: Script): ConfigHost[] {
  return s.c.configs.filter((h) => h !== s.leader)
}

const count = (s: Script): number => s.c.oracle.registers.newest!.configServers.length

export const CONFIG_SERVER_STORIES: readonly Story[] = [
  // Of four servers the leader adds a fifth, which nobody else hears of, and is cut off with it. The next leader is asked at once to remove the
  // first one, before a majority has its recommit; then the fourth server meets the two that were cut off.
  scripted(
    'next-leader-changes-servers-at-once',
    async (s) => {
      const first = s.leader
      const others = followers(s)
      const ids = others.map((h) => h.id)
      const heard = s.lose((from, to, m) => from === first.id && m.kind === 'propose' && ids.includes(to))
      const fifth = replace(s, null)
      const added = (): boolean => fifth.view?.accepted('main')?.value.configServers.length === 5
      await s.until(added, 3_000)
      await s.sleep(20)
      for (const cutOff of [first, fifth]) s.cut(cutOff.id, ids)
      heard()
      const recommitted = s.lose((from, _to, m) => {
        return m.kind === 'propose' && ids.includes(from) && m.value.configServers.length === 4
      })
      await s.until(() => others.some((h) => h.view?.isLeader === true))
      const next = others.find((h) => h.view?.isLeader === true)!
      const fourth = others.find((h) => h !== next)!
      const apart = s.lose((_from, to, m) => m.kind === 'propose' && to === fourth.id)
      s.c.requestConfigServers({ add: null, remove: first.id })
      await s.until(() => count(s) === 3, 1_500)
      s.cut(
        fourth.id,
        ids.filter((id) => id !== fourth.id),
      )
      apart()
      recommitted()
      s.join(fourth.id, [first.id, fifth.id])
      await s.until(() => [first, fifth].some((h) => h.view?.isLeader === true), 6_000)
      await s.sleep(300)
    },
    { configServers: 4, healMs: 16_000 },
  ),
  // A value is chosen by the leader and one other; that one loses its disk and comes back under its name, and only the third, which has not
  // heard of the value, is there to elect a leader with.
  scripted(
    'lost-store-is-asked-for-its-vote',
    async (s) => {
      const { leader } = s
      const [voter, behind] = followers(s)
      s.cut(behind!.id, s.c.names)
      await s.sleep(50)
      const { version } = s.c.oracle.registers.newest!
      const [primary, ...backups] = s.members
      s.c.requestReconfiguration([...backups, primary!])
      await s.until(() => s.c.oracle.registers.newest!.version > version)
      voter!.wipe()
      leader.crash()
      s.join(behind!.id, s.c.names)
      voter!.start()
      await s.until(() => [voter!, behind!].some((h) => h.view?.isLeader === true), 3_000)
      await s.sleep(100)
      leader.start()
      await s.until(() => s.c.leader !== undefined)
    },
    { healMs: 16_000 },
  ),
  // One server takes the place of another.
  scripted(
    'server-takes-the-place-of-another',
    async (s) => {
      const old = followers(s)[0]!
      replace(s, old)
      const gone = (): boolean => s.c.oracle.registers.newest!.formerConfigServers.includes(old.id)
      await s.until(gone)
      await s.sleep(200)
    },
    { healMs: 10_000 },
  ),
  // A new server hears the leader's rounds, but the values come late.
  scripted(
    'values-reach-the-new-server-late',
    async (s) => {
      const known = s.c.configs.map((h) => h.id)
      const late = s.lose((_from, to, m) => m.kind === 'propose' && to.startsWith('c') && !known.includes(to))
      replace(s, null)
      await s.sleep(1_000)
      late()
      await s.until(() => count(s) === 4)
    },
    { healMs: 10_000 },
  ),
]
