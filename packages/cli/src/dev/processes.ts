// Other processes by pid. A pid alone is reused sooner or later; together with the moment it began it names one process.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** When the process began, in whatever form the system has; undefined when there is no such process (or it is a zombie). */
export function startTimeOf(pid: number): string | undefined {
  if (pid <= 0) return undefined
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid)
}

function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may hold anything; what follows the last parenthesis is numbers, beginning with field 3.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function fromProc(pid: number): string | undefined {
  const fields = statOf(pid)
  return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

function fromPs(pid: number): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] })
    return text.toString().trim() || undefined
  } catch {
    return undefined
  }
}

/** Whether exactly this process runs. */
export function isRunning({ pid, startTime }: { readonly pid: number; readonly startTime: string }): boolean {
  return pid > 0 && startTime !== '' && startTimeOf(pid) === startTime
}

/** Whether it was stopped by SIGSTOP. */
export function isPaused(pid: number): boolean {
  return process.platform === 'linux' && statOf(pid)?.[0] === 'T'
}

// Clock ticks of /proc; Linux has 100 a second on every platform Node runs on.
const MS_PER_TICK = 10

/** CPU time used so far, ms; undefined where the system does not tell. */
export function cpuMsOf(pid: number): number | undefined {
  const fields = process.platform === 'linux' ? statOf(pid) : undefined
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK
}
