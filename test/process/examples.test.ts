// Every program in examples/ does what it says, on a cluster of `coppice dev`.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ran, withoutSettings } from './support/command.js'
import { Dev } from './support/dev.js'
import { within } from './support/wait.js'

const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const dev = new Dev()
beforeAll(() => dev.start())
afterAll(() => dev.remove())

function runExample(name: string): Promise<Ran> {
  const config = dev.clusterJson.configServers.map(({ address }) => address).join(',')
  const ran = new Promise<Ran>((resolve, reject) => {
    const env = { ...withoutSettings(), COPPICE_CONFIG: config, COPPICE_DATA: dev.dataDir, NO_COLOR: '1' }
    const child = spawn(process.execPath, [join(examples, name)], { env })
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (err += data))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
  })
  return within(`end of ${name}`, ran, 120_000)
}

const SAYS: Readonly<Record<string, string | RegExp>> = {
  'hello-kv.mjs': `written at version true
read: hello
swapped: false - it was hello
hello/user/1 is Ada
hello/user/2 is Grace
both deleted: true
`,
  'exactly-once-counter.mjs': /^400 increments, 3 primaries killed: the counter says 400$/m,
  'fencing.mjs': `the sleeper has the lock and is stopped
the next holder's token is larger: true; the former one did not release: expired
the sleeper goes on and writes: refused as FENCED
the order is shipped
`,
  'feature-flags.mjs': `at first: false false
turned on: true true
a second later: false false
`,
  'leader-election.mjs': `leader 1: the store names it too: true
leader 2: the store names it too: true
leader 3: the store names it too: true
three different leaders: true
their tokens grow: true
`,
  'rate-limiter.mjs': `20 calls at once: 5 allowed
another user: allowed
`,
  'bank.mjs': `money moved: true; every audit found 1000: true
`,
}

test.each(Object.keys(SAYS))('example_%s', async (name) => {
  const { code, out, err } = await runExample(name)
  expect({ code, err: err.replace(/^killed .*\n/gm, '') }).toEqual({ code: 0, err: '' })
  const says = SAYS[name]!
  if (typeof says === 'string') expect(out).toBe(says)
  else expect(out).toMatch(says)
})

test('everyExampleIsHereAndInTheOverview', () => {
  const programs = readdirSync(examples).filter((name) => name.endsWith('.mjs'))
  expect(programs.sort()).toEqual(Object.keys(SAYS).sort())
  const overview = readFileSync(join(examples, 'README.md'), 'utf8')
  expect(programs.filter((name) => !overview.includes(`](${name})`))).toEqual([])
})
