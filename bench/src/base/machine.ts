// What the numbers were measured on.
import { cpus, release, totalmem } from 'node:os'

export function machine(): Record<string, string | number> {
  const [cpu] = cpus()
  const memoryGiB = Math.round(totalmem() / 2 ** 30)
  return { cpu: cpu?.model ?? '', cores: cpus().length, memoryGiB, kernel: release(), node: process.versions.node }
}
