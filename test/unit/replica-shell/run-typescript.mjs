// Runs a TypeScript program from the sources in a process of its own: node run-typescript.mjs FILE ARGUMENTS…
import { createViteServer } from 'vitest/node'

const conditions = ['coppice-source', 'node', 'import', 'module', 'default']
const server = await createViteServer({
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, hmr: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  resolve: { conditions },
  ssr: { resolve: { conditions } },
})
// The program sees its arguments as if it had been started itself.
process.argv.splice(1, 1)
await server.ssrLoadModule(process.argv[1])
