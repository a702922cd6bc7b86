// Free ports on loopback, below the range from which the system picks ports of outgoing connections: a restarted server finds its own
// port free again.
import { createServer } from 'node:net'

const LOWEST = 20_000
const HIGHEST = 32_000
let next = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))

export async function freeAddress(host = '127.0.0.1'): Promise<string> {
  for (;;) {
    next = next + 1 > HIGHEST ? LOWEST : next + 1
    if (await isFree(host, next)) return `${host}:${next}`
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
