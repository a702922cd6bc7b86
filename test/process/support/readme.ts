// The examples of a README: every fenced block of TypeScript or JavaScript is a whole program, and `console.log(…) // text` says what
// it prints.
import { readFileSync } from 'node:fs'
import { freeAddress } from './ports.js'

export type Language = 'ts' | 'js' | 'cjs'

export interface Example {
  /** File and line, for people. */
  readonly where: string
  readonly language: Language
  readonly code: string
  /** Lines it prints, in their order; empty: it says none. */
  readonly prints: readonly string[]
}

const FENCE = /^```(ts|js|cjs)\n([\s\S]*?)^```$/gm
const PRINTS = /console\.log\(.*\)\s*\/\/ (.*)$/

/** Examples of `file`; `name` is how people call it. */
export function examplesOf(file: string, name: string): Example[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(FENCE)].map((match) => {
    const code = match[2]!
    const prints = code.split('\n').flatMap((line) => PRINTS.exec(line)?.[1] ?? [])
    const line = text.slice(0, match.index).split('\n').length
    return { where: `${name}:${line}`, language: match[1] as Language, code, prints }
  })
}

/** Where examples say a cluster of `coppice dev` is. */
const DEV_CLUSTER = '127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103'

/** The same program for a cluster that is elsewhere, and with free ports for the servers it starts itself. */
export async function relocated(code: string, configServers: readonly string[]): Promise<string> {
  let moved = code.replaceAll(DEV_CLUSTER, configServers.join(','))
  for (const address of new Set(moved.match(/127\.0\.0\.1:7\d{3}\b/g)))
    moved = moved.replaceAll(address, await freeAddress())
  return moved
}
