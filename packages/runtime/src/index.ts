// What any process may load, clients included: clock, bytes, randomness and a dialer. No lmdb, no pino, no WebSocket server.
export { systemClock, systemRandom, randomId, randomSeed, holdProcess } from './clock.js'
export { nodeBytes, nodeText } from './node-bytes.js'
export {
  clearInterval,
  clearTimeout,
  monotonicMs,
  nextTurn,
  setImmediate,
  setInterval,
  setTimeout,
  wallMs,
  type Timer,
} from './timers.js'
export type { Channel, ChannelOwner, Dial, Listener, Transport } from './channel.js'
export { wsDialer, type WsDialerOptions } from './dialer.js'
