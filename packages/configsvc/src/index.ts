export * from './core/io.js'
