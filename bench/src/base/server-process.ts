// A server that is not ours: found, started in a session of its own, awaited, stopped.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { delimiter, join } from 'node:path'
import type { AtEnd } from './tool.js'

const READY_MS = 20_000
const POLL_MS = 50
const TERM_GRACE_MS = 5_000

/** Where the program is, or undefined. */
export function findProgram(name: string): string | undefined {
  const dirs = (process.env['PATH'] ?? '').split(delimiter)
  return dirs.map((dir) => join(dir, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface Started {
  readonly pid: number
  stop(): Promise<void>
}

export function startServer(atEnd: AtEnd, program: string, args: readonly string[]): Started {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', 'ignore'] })
  const exited = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS)
    await exited
    clearTimeout(timer)
  }
  atEnd(stop)
  return { pid: child.pid ?? 0, stop }
}

/** Asks again until it says yes. */
export async function untilReady(what: string, isReady: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_MS
  while (!(await isReady().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`${what} was not ready after ${READY_MS / 1_000} s`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Different ones: all are held open together. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server: Server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
