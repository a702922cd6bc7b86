// Runs a script for `coppice dev` so that it ends with it: node attached.js SCRIPT ARGUMENTS…
import { pathToFileURL } from 'node:url'

const [, , script, ...args] = process.argv
if (script === undefined || process.send === undefined) throw new Error('started by coppice dev only')
process.once('disconnect', () => process.exit(0))
// The channel must not keep a script alive that is done.
process.channel?.unref()
process.argv = [process.execPath, script, ...args]
await import(pathToFileURL(script).href)
