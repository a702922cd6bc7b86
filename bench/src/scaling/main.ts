// npm run bench:scaling: throughput and latency while one thing is varied.
import { join } from 'node:path'
import { ROOT } from '../base/coppice.js'
import { machine } from '../base/machine.js'
import { namesOf, note, numberOf, numbersOf, optionsOf, runTool, tempDir, UsageError } from '../base/tool.js'
import { AXES, AXIS_NAMES } from './axes.js'
import { Context } from './context.js'
import { tableOf, writeAxis } from './report.js'
import type { AxisResult } from './report.js'

const POINTS = AXIS_NAMES.map((name) => `  ${name.padEnd(9)}${AXES[name].points.join(',')}`).join('\n')
const HELP = `Measures put and get on fresh clusters while one thing is varied, and writes numbers, charts and tables.

Usage: npm run bench:scaling -- [options]

  --axis LIST      what is varied (default: all), with these points:
${POINTS}
  --points LIST    other points, for a single axis
  --seconds N      of each measurement (default: 2)
  --runs N         of each; medians are shown (default: 1)
  --callers N      where they are not varied (default: 256)
  --keys N         likewise (default: 20000)
  --value BYTES    likewise (default: 128)
  --dir DIR        where the data go (default: the system's temporary directory)
  --out DIR        scaling-AXIS.json, scaling-AXIS.svg, scaling-AXIS-latency.svg and scaling.md (default: docs/performance)
  -o json          the numbers

Examples:
  npm run bench:scaling -- --axis callers,values
  npm run bench:scaling -- --axis keys --points 1000,100000,10000000
  npm run bench:scaling -- --runs 3 --seconds 5`

await runTool(async (atEnd) => {
  const given = optionsOf(HELP, {
    axis: AXIS_NAMES.join(','),
    points: '',
    seconds: '2',
    runs: '1',
    callers: '256',
    keys: '20000',
    value: '128',
    dir: '',
    out: join(ROOT, 'docs/performance'),
    output: 'table',
  })
  const axes = namesOf('axis', given.axis, AXIS_NAMES)
  const points = given.points === '' ? undefined : numbersOf('points', given.points)
  if (points !== undefined && axes.length > 1) throw new UsageError('--points needs a single --axis')
  const settings = {
    seconds: numberOf('seconds', given.seconds),
    runs: numberOf('runs', given.runs),
    callers: numberOf('callers', given.callers),
    keys: numberOf('keys', given.keys),
    valueBytes: numberOf('value', given.value),
  }
  const context = new Context(atEnd, tempDir(atEnd, given.dir === '' ? undefined : given.dir), settings)
  const results: AxisResult[] = []
  for (const axis of axes) {
    note(`${AXES[axis].title} …`)
    const samples = await AXES[axis].run(context, points ?? AXES[axis].points)
    const result = { axis, machine: machine(), settings, samples }
    results.push(result)
    writeAxis(given.out, result)
    if (given.output !== 'json') process.stdout.write(`\n${AXES[axis].title}\n\n${tableOf(result)}\n\n`)
  }
  if (given.output === 'json') process.stdout.write(`${JSON.stringify(results)}\n`)
  note(`written to ${given.out}`)
})
