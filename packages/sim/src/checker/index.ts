// The linearizability checker: reads recorded histories and decides them.
export { checkHistory } from './check.js'
export type { CheckOptions, CheckResult } from './check.js'
export { describe } from './explain.js'
export { HistoryError, operationsOf, parseHistory } from './history.js'
export type { HistoryEvent, HistoryFunction, Operation } from './history.js'
export type { ExactNumber, Json } from './json.js'
export type { Budget } from './search.js'
