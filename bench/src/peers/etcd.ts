// etcd as it is run: three members, each with its log on disk.
import { join } from 'node:path'
import { freePorts, startServer, untilReady } from '../base/server-process.js'
import type { Side } from '../base/side.js'
import type { AtEnd } from '../base/tool.js'

const STORE = new URL('./etcd-store.js', import.meta.url).href
const MEMBERS = 3

export async function startEtcd(atEnd: AtEnd, program: string, dir: string): Promise<Side> {
  const ports = await freePorts(2 * MEMBERS)
  const members = Array.from({ length: MEMBERS }, (_, i) => ({
    name: `e${i + 1}`,
    client: `http://127.0.0.1:${ports[2 * i]}`,
    peer: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }))
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',')
  const started = members.map(({ name, client, peer }) => {
    const clients = ['--listen-client-urls', client, '--advertise-client-urls', client]
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer]
    const common = ['--name', name, '--data-dir', join(dir, name), '--initial-cluster', cluster, '--log-level', 'error']
    return startServer(atEnd, program, [...common, ...clients, ...peers])
  })
  for (const { client } of members) await untilReady('etcd', () => isHealthy(client))
  return {
    name: 'etcd',
    replicas: MEMBERS,
    store: { module: STORE, options: { hosts: members.map(({ client }) => client) } },
    watched: started.map(({ pid }, i) => ({ id: members[i]!.name, pid })),
    async stop() {
      await Promise.all(started.map(({ stop }) => stop()))
    },
  }
}

async function isHealthy(url: string): Promise<boolean> {
  const answer = (await (await fetch(`${url}/health`)).json()) as { health: string }
  return answer.health === 'true'
}
