// DATA/cluster.json: how the other verbs find a dev cluster, and how a second start finds the first one's ports.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_ZONE_CHARS, nodeIdSchema } from '@coppice/protocol'
import { z } from 'zod'
import { CliError, EXIT } from '../base/exit.js'

const processSchema = z.strictObject({
  id: nodeIdSchema,
  address: z.string(),
  /** 0: not running. */
  pid: z.number().int().min(0),
  /** When the process began, as the system tells it: with the pid it names one process for ever. */
  startTime: z.string(),
  /** Where a replica stands. */
  zone: z.string().min(1).max(MAX_ZONE_CHARS).optional(),
})
const clusterFileSchema = z.strictObject({
  format: z.literal(1),
  group: nodeIdSchema,
  wanted: z.number().int(),
  /** The `coppice dev` process; pid 0 when it has stopped. */
  dev: z.strictObject({ pid: z.number().int(), startTime: z.string() }),
  configServers: z.array(processSchema),
  replicas: z.array(processSchema),
})
export type ClusterFile = z.infer<typeof clusterFileSchema>
export type ClusterProcess = z.infer<typeof processSchema>

export const CLUSTER_FILE = 'cluster.json'

/** undefined when there is none. Throws when it cannot be understood. */
export function readClusterFile(dataDir: string): ClusterFile | undefined {
  const path = join(dataDir, CLUSTER_FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    return clusterFileSchema.parse(JSON.parse(text))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message
    throw new CliError(EXIT.error, `${path} is damaged: ${why}`)
  }
}

/** Replaces the file at once, so that no reader sees half of it. */
export function writeClusterFile(dataDir: string, cluster: ClusterFile): void {
  const path = join(dataDir, CLUSTER_FILE)
  writeFileSync(`${path}.new`, `${JSON.stringify(cluster, undefined, 2)}\n`)
  renameSync(`${path}.new`, path)
}
