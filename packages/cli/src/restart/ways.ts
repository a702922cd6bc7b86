// How one process is restarted: `coppice dev` starts its own again when they have ended in order; on other machines a command of the
// operator's does it.
import { spawn } from 'node:child_process'
import { devCluster } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import type { Settings } from '../base/settings.js'
import { isRunning } from '../dev/processes.js'
import type { Target } from './order.js'

/** Makes a server end in order and start again; whether it is back is for others to find out. */
export type Restart = (target: Target, withinMs: number) => Promise<void>

/** SIGTERM to the process that `coppice dev` started. Throws when there is no such cluster, or nobody who would start it again. */
export function restartByDev(settings: Settings): Restart {
  const cluster = devCluster(settings)
  if (settings.config !== undefined || cluster === undefined)
    throw new CliError(
      EXIT.usage,
      `the processes of this cluster are not those of a "coppice dev" in ${settings.data}: say how one is restarted, for example --exec 'ssh {host} systemctl restart coppice-{id}'`,
    )
  if (!isRunning(cluster.dev))
    throw new CliError(EXIT.conditionNotMet, '"coppice dev" does not run, so nobody would start the processes again')
  return ({ id }) => {
    const now = devCluster(settings)
    const target = [...(now?.configServers ?? []), ...(now?.replicas ?? [])].find((each) => each.id === id)
    if (target === undefined || !isRunning(target))
      return Promise.reject(new CliError(EXIT.notFound, `${id} is no running process of "coppice dev"`))
    process.kill(target.pid, 'SIGTERM')
    return Promise.resolve()
  }
}

const PLACEHOLDERS = /\{(id|host|port|address|kind)\}/g
const NAMES_A_SERVER = /\{(id|host|address)\}/
/** What may stand in a shell's command without quotes. */
const PLAIN = /^[\w.:-]+$/

/** A command of the operator's, run by the shell once for each server. */
export function restartByCommand(template: string): Restart {
  if (!NAMES_A_SERVER.test(template))
    throw new CliError(EXIT.usage, '--exec: the command names no server: use {id}, {host} or {address} in it')
  return (target, withinMs) => run(commandFor(template, target), withinMs)
}

export function commandFor(template: string, { id, kind, address }: Target): string {
  const at = address.lastIndexOf(':')
  // Of an IPv6 address without its brackets, as ssh takes it.
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const values: Readonly<Record<string, string>> = { id, kind, host, port: address.slice(at + 1), address }
  return template.replace(PLACEHOLDERS, (_, name: string) => {
    const value = values[name]!
    if (!PLAIN.test(value)) throw new CliError(EXIT.error, `the ${name} of ${id} cannot stand in a command: ${value}`)
    return value
  })
}

function run(command: string, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // What it prints is for people, not data.
    const child = spawn(command, { shell: true, stdio: ['ignore', 2, 2] })
    const timer = setTimeout(() => child.kill('SIGTERM'), withinMs)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve()
      else reject(new CliError(EXIT.error, `"${command}" ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}
