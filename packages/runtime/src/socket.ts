// The WebSocket of both ends: limits, no masking work, no compression, and close codes that carry words.
import { MAX_FRAME_BYTES } from '@coppice/protocol'
import { WebSocket, type ClientOptions } from 'ws'

export const CLOSE_NORMAL = 1000
export const CLOSE_GOING_AWAY = 1001
export const CLOSE_MALFORMED = 1002
export const CLOSE_NOT_BINARY = 1003
export const CLOSE_POLICY = 1008
export const CLOSE_TOO_BIG = 1009
export const CLOSE_TOO_SLOW = 1013

/** A close frame has room for so many bytes of reason. */
const MAX_REASON_BYTES = 123

/** Says in words what ws closes with a bare code: what its own receiver refused. */
export class CoppiceSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    if (code === undefined) return super.close()
    super.close(code, shortReason(reason ?? wordsOf(code)))
  }
}

function wordsOf(code: number): string {
  if (code === CLOSE_TOO_BIG) return `frame above the limit of ${MAX_FRAME_BYTES} bytes`
  return code === CLOSE_NORMAL ? '' : 'malformed WebSocket frame'
}

function shortReason(reason: string | Buffer): Buffer {
  const bytes = Buffer.from(reason as string)
  if (bytes.length <= MAX_REASON_BYTES) return bytes
  // A cut inside a character would not be UTF-8; the replacement character of toString shows such a cut, so it goes too.
  return Buffer.from(
    bytes
      .subarray(0, MAX_REASON_BYTES - 3)
      .toString()
      .replace(/\uFFFD+$/, ''),
  )
}

/** Receiver-side limits and costs, the same at both ends. */
export const SOCKET_LIMITS = {
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  // All frames of one read are handled in one turn, so that they share its batch.
  allowSynchronousEvents: true,
  // Text frames are refused as such; nobody needs to know whether they were UTF-8.
  skipUTF8Validation: true,
} as const

const HANDSHAKE_MS = 3_000

export const CLIENT_OPTIONS: ClientOptions = {
  ...SOCKET_LIMITS,
  handshakeTimeout: HANDSHAKE_MS,
  // A zero mask lets ws skip masking at both ends. Masks protect proxies from hostile scripts in browsers; this is neither.
  generateMask: (mask) => void mask.fill(0),
}
