// npm run bench:peers: Coppice beside Redis and etcd on this machine, under the same generator.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fill } from '../base/side.js'
import { namesOf, note, numbersOf, optionsOf, runTool, tempDir } from '../base/tool.js'
import { installClients } from './clients.js'
import { measureFloor } from './floor.js'
import { chartOf, reportOf, tableOf } from './report.js'
import { roundsOf, runRounds } from '../base/rounds.js'
import { startSystems, SYSTEMS } from './systems.js'

const HELP = `Compares Coppice with Redis (one server, appendonly, appendfsync always) and etcd (three members), each started fresh with data on disk.
Each run is one client process on one system; systems take turns. Those that are not installed are left out.

Usage: npm run bench:peers -- [options]

  --systems LIST   of coppice, redis, etcd (default: all)
  --mix LIST       workloads (default: put,mixed50,get95)
  --callers LIST   calls in flight (default: 64,256)
  --replicas LIST  of Coppice, one cluster each (default: 1,3)
  --seconds N      of each run (default: 2)
  --runs N         of each system under each load (default: 3)
  --keys N         (default: 100000)
  --value BYTES    (default: 128)
  --dir DIR        where the data go, on the disk to be measured (default: the system's temporary directory)
  --out DIR        peers.svg and peers.json are written there (default: bench-results)
  -o json          all runs, and ratios: [{ mix, callers, replicas, against, ratio, min, max }]

Examples:
  npm run bench:peers
  npm run bench:peers -- --systems coppice,redis --mix put --callers 256 --seconds 5
  npm run --silent bench:peers -- --runs 5 -o json`

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, {
    systems: SYSTEMS.join(','),
    mix: 'put,mixed50,get95',
    callers: '64,256',
    replicas: '1,3',
    seconds: '2',
    runs: '3',
    keys: '100000',
    value: '128',
    dir: '',
    out: 'bench-results',
    output: 'table',
  })
  const systems = namesOf('systems', given.systems, SYSTEMS)
  const replicas = numbersOf('replicas', given.replicas)
  const options = roundsOf(given)
  const dir = tempDir(atEnd, given.dir === '' ? undefined : given.dir)
  if (systems.some((system) => system !== 'coppice')) installClients()
  note('starting …')
  const sides = await startSystems(atEnd, dir, systems, replicas)
  // One server may be there in several settings.
  for (const side of new Map(sides.map((each) => [each.watched[0]?.pid, each])).values()) {
    note(`${side.name} ×${side.replicas}: writing ${options.keys} keys …`)
    await fill(side, options)
  }
  const runs = await runRounds(sides, options)
  const three = sides.find(({ name, replicas: count }) => name === 'Coppice' && count === 3)
  const report = reportOf(
    options,
    runs,
    three === undefined ? undefined : await measureFloor(atEnd, dir, three, options),
  )
  mkdirSync(given.out, { recursive: true })
  writeFileSync(join(given.out, 'peers.svg'), chartOf(report))
  writeFileSync(join(given.out, 'peers.json'), `${JSON.stringify(report, undefined, 2)}\n`)
  process.stdout.write(`${given.output === 'json' ? JSON.stringify(report) : tableOf(report)}\n`)
  note(`written: ${join(given.out, 'peers.svg')}, ${join(given.out, 'peers.json')}`)
})
