// What every verb starts from: the settings, the cluster they name, and connections to it that are closed at the end.
import type { AdminClient } from '@coppice/clerk'
import type { Db } from '@coppice/vkv'
import type { Command } from 'commander'
import { CliError, EXIT } from './exit.js'
import { settingsOf } from './settings.js'
import type { Settings } from './settings.js'
import { readClusterFile } from '../dev/cluster-file.js'
import type { ClusterFile } from '../dev/cluster-file.js'

/** Settings of a verb's flags and the program's. */
export function settingsFor(command: Command): Settings {
  return settingsOf(command.optsWithGlobals())
}

/** The dev cluster in the data directory; undefined when there is none. */
export function devCluster(settings: Settings): ClusterFile | undefined {
  return readClusterFile(settings.data)
}

/** Addresses of config servers: --config, or those of the dev cluster in the data directory. */
export function configAddresses(settings: Settings): readonly string[] {
  if (settings.config !== undefined) return settings.config.map((entry) => entry.slice(entry.indexOf('=') + 1))
  const cluster = devCluster(settings)
  if (cluster !== undefined) return cluster.configServers.map(({ address }) => address)
  throw new CliError(
    EXIT.usage,
    `no cluster: there is none in ${settings.data}, and --config names none. Start one with "coppice dev", or give --config HOST:PORT,…`,
  )
}

/** Runs `work` with a connected store. `defaultTimeoutMs` applies when no --timeout is given. */
export async function withDb<T>(
  settings: Settings,
  defaultTimeoutMs: number,
  work: (db: Db) => Promise<T>,
): Promise<T> {
  const addresses = configAddresses(settings)
  const { connect } = await import('@coppice/vkv')
  const db = await connect(addresses, {
    group: settings.group,
    timeout: settings.timeoutMs ?? defaultTimeoutMs,
    ...(settings.zone === undefined ? {} : { zone: settings.zone }),
    ...(settings.token === undefined ? {} : { token: settings.token }),
  })
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

export async function withAdmin<T>(
  settings: Settings,
  defaultTimeoutMs: number,
  work: (admin: AdminClient) => Promise<T>,
): Promise<T> {
  const addresses = configAddresses(settings)
  const { connectAdmin } = await import('@coppice/clerk')
  const admin = connectAdmin(addresses, {
    group: settings.group,
    timeout: settings.timeoutMs ?? defaultTimeoutMs,
    ...(settings.token === undefined ? {} : { token: settings.token }),
  })
  try {
    return await work(admin)
  } finally {
    admin.close()
  }
}
