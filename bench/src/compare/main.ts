// npm run bench:compare BASE: is this checkout faster or slower than another commit? Each side has its own servers and its own SDK.
import { join } from 'node:path'
import { startCoppice } from '../base/coppice.js'
import { roundsOf, runRounds } from '../base/rounds.js'
import { fill } from '../base/side.js'
import { note, numberOf, optionsOf, runTool, tempDir, UsageError } from '../base/tool.js'
import { checkOut, commitOf } from './checkout.js'
import { BASE, comparisonOf, NOW, tableOf } from './report.js'

const HELP = `Compares this checkout, as it is built, with the commit BASE, which is checked out and built in a temporary directory. One cluster of
each runs; both are measured in turn (base, now, base, now, …), each through its own SDK, under this checkout's generator.

Usage: npm run bench:compare BASE [-- options]

  --mix LIST       workloads (default: put,mixed50,get95)
  --callers LIST   calls in flight (default: 256)
  --replicas N     of each cluster (default: 3)
  --seconds N      of each run (default: 3)
  --runs N         of each side under each load (default: 5)
  --keys N         (default: 100000)
  --value BYTES    (default: 128)
  --dir DIR        where checkout and data go (default: the system's temporary directory)
  --least RATIO    exit with 1 when the median ratio of any workload is below (default: never)
  -o json          all runs and ratios

Examples:
  npm run bench:compare HEAD~1
  npm run bench:compare main -- --mix put --callers 64,256 --runs 7 --least 0.95`

await runTool(async (atEnd) => {
  const defaults = { mix: 'put,mixed50,get95', callers: '256', replicas: '3', seconds: '3', runs: '5' }
  const given = optionsOf(
    HELP,
    { ...defaults, keys: '100000', value: '128', dir: '', least: '0', base: '', output: 'table' },
    'base',
  )
  const least = Number(given.least)
  if (!(least >= 0)) throw new UsageError(`--least: "${given.least}" is no ratio`)
  const options = roundsOf(given)
  const replicas = numberOf('replicas', given.replicas)
  const commit = commitOf(given.base)
  const dir = tempDir(atEnd, given.dir === '' ? undefined : given.dir)
  const root = join(dir, 'checkout')
  checkOut(commit, root)
  note('starting …')
  const base = { name: BASE, dataDir: join(dir, BASE), root, sdkRoot: root, replicas }
  const sides = [
    await startCoppice(atEnd, base),
    await startCoppice(atEnd, { name: NOW, dataDir: join(dir, NOW), replicas }),
  ]
  for (const side of sides) await fill(side, options)
  const comparison = comparisonOf(commit, options, await runRounds(sides, options))
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(comparison) : tableOf(comparison)}\n`)
  const slower = comparison.ratios.filter(({ ratio }) => ratio < least)
  if (slower.length > 0) process.exitCode = 1
  for (const { mix, callers, ratio } of slower)
    note(`${mix} with ${callers} callers: ${ratio.toFixed(2)} is below ${least}`)
})
