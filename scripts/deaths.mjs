// Tells the table of deaths: every machine that has a part in a change falls at every arrow of it, at four moments and in several ways.
// `node scripts/deaths.mjs --seeds 2`; `--fall dies --fall returns` tells these ways alone, `--only TEXT` those whose name has it, and lists
// them; `--out FILE` keeps the page. Cells say for how long no write was acknowledged at the worst, in simulated milliseconds. Exit code 1
// if the group did not go on, or an invariant broke.
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { nodeBytes, nodeText } from '../packages/runtime/dist/index.js'
import { ARROWS, DEATHS, DISTURBANCES, runSeed } from '../packages/sim/dist/index.js'

const ports = { bytes: nodeBytes, text: nodeText }
const STORIES = [...DEATHS, ...DISTURBANCES]
/** Moments of one cell are told under seeds of their own, so that a cell sees as many clusters as it can. */
const MOMENTS = [...new Set(STORIES.map(({ moment }) => moment))]

if (isMainThread) process.exitCode = await main()
else await work()

async function main() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      fall: { type: 'string', multiple: true, default: [] },
      workers: { type: 'string', default: '2' },
      out: { type: 'string' },
    },
  })
  const seeds = Number(values.seeds)
  const tasks = STORIES.flatMap(({ name, moment, fall }, story) => {
    const left = fall !== undefined && values.fall.length > 0 && !values.fall.includes(fall)
    if (left || !name.includes(values.only)) return []
    const first = 1 + MOMENTS.indexOf(moment)
    return Array.from({ length: seeds }, (_, i) => ({ story, seed: first + MOMENTS.length * i }))
  })
  const results = await tell(tasks, Number(values.workers), values.only !== '')
  const failed = results.filter((r) => !r.ok)
  for (const { story, seed, message } of failed) console.log(`${STORIES[story].name}, seed ${seed}: ${message}`)
  const text = page(results, seeds, values.fall)
  if (values.out !== undefined) await writeFile(values.out, text)
  else if (values.only === '') console.log(text)
  console.log(`${results.length} runs of ${new Set(tasks.map((t) => t.story)).size} stories, ${failed.length} failed`)
  return failed.length > 0 ? 1 : 0
}

/** Runs all on some workers, each taking the next one when it is free. */
async function tell(tasks, workers, aloud) {
  const results = []
  const waiting = tasks.toReversed()
  const run = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url))
      const next = () => worker.postMessage(waiting.pop())
      worker.on('message', (result) => {
        results.push(result)
        if (aloud) console.log(`${STORIES[result.story].name}, seed ${result.seed}: ${Math.round(result.gapMs)} ms`)
        if (results.length % 200 === 0) console.error(`${results.length} of ${tasks.length}`)
        next()
      })
      worker.on('error', reject)
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`worker ended with ${code}`))))
      next()
    })
  await Promise.all(Array.from({ length: workers }, run))
  return results
}

async function work() {
  parentPort.on('message', async (task) => {
    if (task === undefined) return parentPort.close()
    const { plan, play, gapMs } = STORIES[task.story]
    const { ok, violation } = await runSeed(task.seed, { ports, plan, story: play, quick: true })
    parentPort.postMessage({ ...task, ok, message: violation?.message.split('\n')[0], gapMs: gapMs() })
  })
}

function page(results, seeds, falls) {
  const worst = new Map()
  const rowOf = ({ victim, fall, disturbance }) => disturbance ?? `${victim} ${fall}`
  for (const { story, gapMs } of results) {
    const key = `${STORIES[story].kind}|${rowOf(STORIES[story])}|${STORIES[story].arrow}`
    worst.set(key, Math.max(worst.get(key) ?? 0, gapMs))
  }
  const kinds = [...new Set(STORIES.map((s) => s.kind))]
  const parts = kinds.map((kind) => {
    const told = STORIES.filter((s, story) => s.kind === kind && results.some((r) => r.story === story))
    const rows = [...new Set(told.map(rowOf))]
    const cell = (row, arrow) => {
      const ms = worst.get(`${kind}|${row}|${arrow}`)
      return ms === undefined ? '' : String(Math.round(ms))
    }
    return table(
      kind,
      ['', ...ARROWS],
      rows.map((row) => [row, ...ARROWS.map((arrow) => cell(row, arrow))]),
    )
  })
  const failed = results.filter((r) => !r.ok).length
  return `${heading(seeds, falls, results.length, failed)}\n${parts.join('\n')}`
}

function heading(seeds, falls, runs, failed) {
  const options = [...falls.map((fall) => `--fall '${fall}' `), seeds === 1 ? '' : `--seeds ${seeds} `].join('')
  return `# The table of deaths

Made by \`node scripts/deaths.mjs ${options}--out docs/deaths.md\`: ${runs} simulated runs, ${failed === 0 ? 'none of which broke' : `${failed} of which broke`} an invariant.

In each kind of change each machine that has a part in it falls at each arrow of the protocol: while the message is about to be sent, in flight,
arrived (what it asks for may be durable or not), and about to be answered. It stays away until the group is whole without it: three members serve,
nothing is being changed. With one machine dead already (failover) a member that falls returns after 700 ms, and so does one whose disk was lost.

A cell is the longest time without an acknowledged write, in simulated milliseconds, the worst of ${4 * seeds} runs (${seeds} for each moment; of what is
lost, late or asked by another operator: ${seeds}). Four clients pause 15 ms between two calls and also read, so some tens of milliseconds mean that
nothing was felt. An empty cell: such a change has no such arrow. A member is missed after 1,000 ms, a config leader after 700 to 1,400 ms.

Arrows: **reserve** an epoch number is proposed; **learn** a spare is told to learn; **fetch** it asks the source; **drain** the primary is told to
admit no more; **seal**; **enter**; **relinquish**; **activate** the new configuration is proposed; **push** members hear that it was chosen; **append** the
first record of the new epoch, whose primary made its claim durable with ENTER.
`
}

function table(title, head, rows) {
  const widths = head.map((h, i) => Math.max(3, String(h).length, ...rows.map((r) => String(r[i]).length)))
  const line = (cells) =>
    `| ${cells.map((c, i) => (i === 0 ? String(c).padEnd(widths[i]) : String(c).padStart(widths[i]))).join(' | ')} |`
  const rule = `| ${widths.map((w, i) => (i === 0 ? '-'.repeat(w) : `${'-'.repeat(w - 1)}:`)).join(' | ')} |`
  return `## ${title}\n\n${[line(head), rule, ...rows.map(line)].join('\n')}\n`
}
