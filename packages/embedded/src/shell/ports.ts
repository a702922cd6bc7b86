// Free ports of this machine for servers that listen on loopback.
import { createServer, type AddressInfo } from 'node:net'

const HOST = '127.0.0.1'

/** So many addresses that nobody listened at a moment ago. */
export async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => bound()))
  const addresses = servers.map((server) => `${HOST}:${(server.address() as AddressInfo).port}`)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return addresses
}

function bound(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, HOST, () => resolve(server))
  })
}
