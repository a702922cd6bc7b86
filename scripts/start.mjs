// `npm start`: sets up, then becomes `coppice dev --demo` in this very process, so that signals need no forwarding. Further
// arguments are passed on: npm start -- --data ./elsewhere
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, setup } from './setup.mjs'

try {
  await setup()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}
const command = join(root, 'packages', 'cli', 'bin', 'coppice.js')
process.argv = [process.execPath, command, 'dev', '--demo', ...process.argv.slice(2)]
await import(pathToFileURL(command).href)
