// One process per data directory (PROTOCOL 7: lmdb alone lets two processes write one environment). The kernel holds the lock and
// drops it with the process, however it dies, so it never goes stale and no liveness check can race:
//   Linux    a listening socket in the abstract namespace, named after the directory's device and inode (any path leads to the same);
//   Windows  a named pipe of that name;
//   macOS    the lock file itself, opened with O_EXLOCK.
// The lock file only tells who holds it. Processes in different network namespaces (containers that share a volume) do not see
// each other's abstract sockets: such a volume must not be given to two of them.
import { closeSync, constants, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { StartupError } from './startup-error.js'

/** A data directory that is this process's. */
export interface DataDirLock {
  release(): void
}

const LOCK_FILE = 'LOCK'
// From <fcntl.h> of macOS; Node has no name for it.
const O_EXLOCK = 0x20

/**
 * Makes `dir` if needed and takes it for this process; `what` names the holder to others ('replica r1'). Rejects with a StartupError
 * that says who has it.
 */
export async function lockDataDir(dir: string, what: string): Promise<DataDirLock> {
  let identity: string
  try {
    mkdirSync(dir, { recursive: true })
    const stat = statSync(dir, { bigint: true })
    identity = `coppice-${stat.dev.toString(16)}-${stat.ino.toString(16)}`
  } catch (error) {
    throw new StartupError(
      'DIRECTORY_UNUSABLE',
      `data directory ${dir} cannot be used: ${(error as Error).message}`,
      error,
    )
  }
  const file = join(dir, LOCK_FILE)
  const lock = process.platform === 'darwin' ? lockFile(file) : await lockSocket(identity)
  if (lock === undefined)
    throw new StartupError('DIRECTORY_IN_USE', `data directory ${dir} is in use by ${holderOf(file)}`)
  try {
    writeFileSync(file, `${JSON.stringify({ pid: process.pid, what })}\n`)
  } catch (error) {
    lock.release()
    throw new StartupError(
      'DIRECTORY_UNUSABLE',
      `data directory ${dir} cannot be written: ${(error as Error).message}`,
      error,
    )
  }
  return lock
}

function lockSocket(identity: string): Promise<DataDirLock | undefined> {
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${identity}` : `\0${identity}`
  return new Promise((resolve, reject) => {
    // Nobody has business on this socket; it exists only to be there.
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen({ path, exclusive: true }, () => {
      server.unref()
      resolve({ release: () => void server.close() })
    })
  })
}

function lockFile(file: string): DataDirLock | undefined {
  try {
    const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK)
    return { release: () => closeSync(fd) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}

function holderOf(file: string): string {
  try {
    const { pid, what } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; what: string }
    return `${what} (pid ${pid})`
  } catch {
    // The holder has not written its name yet.
    return 'another process'
  }
}
