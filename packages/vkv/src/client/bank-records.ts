// What the bank keeps in the store, and the errors and outcomes of a transfer.
//
//   bank/account/<name>   decimal balance
//   bank/intent/<source>  JSON Intent, while a transfer from this account is between its steps
//   lock bank/<name>      held by whoever moves money from or to the account
import { CoppiceError, type Index } from '@coppice/protocol'

export const ACCOUNT_PREFIX = 'bank/account/'
export const INTENT_PREFIX = 'bank/intent/'
export const LOCK_PREFIX = 'bank/'

/** A transfer that has begun: what was there before it, so that anyone can tell how far it came and undo it. */
export interface Intent {
  readonly source: string
  readonly target: string
  readonly amount: number
  readonly sourceBalance: number
  readonly sourceVersion: Index
  readonly targetVersion: Index
}

/** What a transfer came to; a refused one changed nothing. */
export type TransferResult =
  | { readonly ok: true; readonly sourceBalance: number; readonly targetBalance: number }
  /** The source has less than the amount; nothing changed. */
  | { readonly ok: false; readonly reason: 'insufficient funds'; readonly balance: number }

/** All balances, read at one index. */
export interface Audit {
  readonly total: number
  readonly accounts: number
  /** Interrupted transfers that were finished or undone on the way. */
  readonly recovered: number
}

/** Places in a transfer between two steps, in their order; tests crash a client at each of them. */
export const CRASH_POINTS = [
  'after first lock',
  'after second lock',
  'after intent',
  'after debit',
  'after credit',
  'after intent delete',
  'after first release',
] as const
/** A step of a transfer after which its client may die. */
export type CrashPoint = (typeof CRASH_POINTS)[number]

export function parseBalance(account: string, value: string): number {
  const balance = Number(value)
  if (value !== '' && Number.isSafeInteger(balance)) return balance
  throw bankError(`account ${JSON.stringify(account)} has no balance but ${JSON.stringify(value)}`, 'CONFLICT')
}

export function bankError(message: string, code: 'INVALID_ARGUMENT' | 'NOT_FOUND' | 'CONFLICT'): CoppiceError {
  return new CoppiceError(message, { code, outcome: 'not-applied' })
}
