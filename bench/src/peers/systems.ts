// Starts what is compared. A system whose program is not installed is left out, with a word about how to install it.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startCoppice } from '../base/coppice.js'
import { findProgram } from '../base/server-process.js'
import type { Side } from '../base/side.js'
import { note } from '../base/tool.js'
import type { AtEnd } from '../base/tool.js'
import { startEtcd } from './etcd.js'
import { startRedis } from './redis.js'

export const SYSTEMS = ['coppice', 'redis', 'etcd'] as const
export type System = (typeof SYSTEMS)[number]

const INSTALL = {
  redis: { program: 'redis-server', name: 'Redis', install: 'apt-get install redis-server' },
  etcd: { program: 'etcd', name: 'etcd', install: 'apt-get install etcd-server' },
}

/** Coppice once for each number of replicas. `dir` is where all keep their data. */
export async function startSystems(
  atEnd: AtEnd,
  dir: string,
  systems: readonly System[],
  replicas: readonly number[],
): Promise<Side[]> {
  const sides: Side[] = []
  const place = (name: string): string => {
    mkdirSync(join(dir, name))
    return join(dir, name)
  }
  if (systems.includes('coppice'))
    for (const count of replicas)
      sides.push(await startCoppice(atEnd, { dataDir: place(`coppice-${count}`), replicas: count }))
  const redis = systems.includes('redis') ? programOf('redis') : undefined
  if (redis !== undefined) sides.push(...(await startRedis(atEnd, redis, place('redis'))))
  const etcd = systems.includes('etcd') ? programOf('etcd') : undefined
  if (etcd !== undefined) sides.push(await startEtcd(atEnd, etcd, place('etcd')))
  return sides
}

function programOf(system: keyof typeof INSTALL): string | undefined {
  const { program, name, install } = INSTALL[system]
  const path = findProgram(program)
  if (path === undefined) note(`${program} is not installed, so ${name} is left out (Debian: ${install})`)
  return path
}
