// Redis as it is run when nothing may be lost: one server, an append-only file, synced to disk before every answer.
import { connect } from 'node:net'
import { freePorts, startServer, untilReady } from '../base/server-process.js'
import type { Side } from '../base/side.js'
import type { AtEnd } from '../base/tool.js'
import type { RedisOptions } from './redis-store.js'

const STORE = new URL('./redis-store.js', import.meta.url).href
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '']

/** The same server twice, through both settings of its client: the faster one counts. */
export async function startRedis(atEnd: AtEnd, program: string, dir: string): Promise<Side[]> {
  const [port] = await freePorts(1)
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir]
  const { pid, stop } = startServer(atEnd, program, [...place, ...DURABLE])
  await untilReady('Redis', () => answersPing(port!))
  return [false, true].map((autoPipelining) => {
    const options: RedisOptions = { port: port!, autoPipelining }
    return {
      name: 'Redis',
      setting: `auto-pipelining ${autoPipelining ? 'on' : 'off'}`,
      replicas: 1,
      store: { module: STORE, options },
      watched: [{ id: 'redis', pid }],
      stop,
    }
  })
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.destroy()
      resolve(data.toString().startsWith('+PONG'))
    })
  })
}
