// The coppice command as a library: what other tools may call.
export { buildProgram, run } from './program.js'
export { EXIT } from './base/exit.js'
