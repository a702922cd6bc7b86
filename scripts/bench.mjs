// `npm run bench:NAME`: sets up, then becomes the program in bench/src/NAME/main.ts. Further arguments are passed on.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, setup } from './setup.mjs'

const [, script, name, ...args] = process.argv
try {
  await setup()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}
const program = join(root, 'bench', 'dist', name, 'main.js')
process.argv = [process.execPath, script, ...args]
await import(pathToFileURL(program).href)
