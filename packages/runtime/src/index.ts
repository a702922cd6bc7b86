// What any process may load, clients included: clock, bytes, randomness and a dialer. No lmdb, no pino, no WebSocket server.
export { systemClock, systemRandom, randomId, randomSeed, holdProcess } from './clock.js'
export { nodeBytes, nodeText } from './node-bytes.js'
export { wsDialer, type WsDialerOptions } from './dialer.js'
