export * from './core/io.js'
export * from './core/state-machine.js'
