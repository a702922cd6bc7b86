// The workloads by name: which share of the operations is of which kind, and how keys are chosen. A to F are the published mixes of
// YCSB (Cooper et al., SoCC'10), E left out because it scans; the others are for comparisons with plain stores.
import type { Distribution } from './key-chooser.js'

export const KINDS = ['get', 'put', 'insert', 'readModifyWrite'] as const
/** `readModifyWrite` is a get and then a put of the same key, as in YCSB; its latency is that of both. */
export type Kind = (typeof KINDS)[number]
/** Place in KINDS: what the hot path passes around. */
export type KindIndex = 0 | 1 | 2 | 3
export const GET: KindIndex = 0
export const PUT: KindIndex = 1
export const INSERT: KindIndex = 2
export const READ_MODIFY_WRITE: KindIndex = 3

export interface Mix {
  /** Of all operations; together 1. */
  readonly shares: Readonly<Partial<Record<Kind, number>>>
  readonly distribution: Distribution
}

const mixes = {
  'ycsb-a': { shares: { get: 0.5, put: 0.5 }, distribution: 'zipfian' },
  'ycsb-b': { shares: { get: 0.95, put: 0.05 }, distribution: 'zipfian' },
  'ycsb-c': { shares: { get: 1 }, distribution: 'zipfian' },
  'ycsb-d': { shares: { get: 0.95, insert: 0.05 }, distribution: 'latest' },
  'ycsb-f': { shares: { get: 0.5, readModifyWrite: 0.5 }, distribution: 'zipfian' },
  put: { shares: { put: 1 }, distribution: 'uniform' },
  get: { shares: { get: 1 }, distribution: 'uniform' },
  mixed50: { shares: { get: 0.5, put: 0.5 }, distribution: 'uniform' },
  get95: { shares: { get: 0.95, put: 0.05 }, distribution: 'uniform' },
} satisfies Record<string, Mix>

export type MixName = keyof typeof mixes
export const MIXES: Readonly<Record<MixName, Mix>> = mixes
export const MIX_NAMES = Object.keys(mixes) as MixName[]

export function isMixName(name: string): name is MixName {
  return Object.hasOwn(mixes, name)
}

/** Whether anything of it reads, so that the keys must be there before. */
export function reads({ shares }: Mix): boolean {
  return (shares.get ?? 0) > 0 || (shares.readModifyWrite ?? 0) > 0
}

/** "50 % get, 50 % put". */
export function sharesText({ shares }: Mix): string {
  return KINDS.filter((kind) => shares[kind] !== undefined)
    .map((kind) => `${(shares[kind]! * 100).toFixed(0)} % ${kind === 'readModifyWrite' ? 'read-modify-write' : kind}`)
    .join(', ')
}
