// The golden transcript of one put on an idle cluster: who says what to whom, in causal order (PROTOCOL 5).
import { expect, test } from 'vitest'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { Db } from '@coppice/vkv/core'
import { runSeed } from '@coppice/sim'
import type { RunOptions } from '@coppice/sim'

const PUT_MS = 3_000
const STEPS = ['requests', 'append', 'written', 'appendAck', 'replies']

test('put_goes_to_all_disks_before_it_is_answered', async () => {
  const story: RunOptions['story'] = (cluster, _nemesis, workload) => {
    cluster.kernel.at(PUT_MS - 1_000, () => {
      const { host, clerk } = workload.connect('writer')
      workload.task(host, async () => {
        const db = new Db(clerk, { text: nodeText })
        // The clerk registers and finds its primary first, so that only the put itself is told.
        await db.kv.put('greeting', 'good morning')
        await host.sleep(PUT_MS - cluster.kernel.now)
        await db.kv.put('greeting', 'hello')
        await db.close()
      })
    })
  }
  const result = await runSeed(1, {
    ports: { bytes: nodeBytes, text: nodeText },
    story,
    trace: true,
    plan: { clients: 0, spares: 0, healMs: 4_000, passMode: 'codec', fifo: true },
  })
  expect(result.violation).toBeUndefined()
  const inputs = inputsAround(result.transcript)
  const primary = inputs.find((i) => i.what === 'requests')!.node
  const backups = ['r1', 'r2', 'r3'].filter((id) => id !== primary)
  const told = inputs.map(
    ({ node, what }) => `${node === primary ? 'primary' : `backup ${backups.indexOf(node) + 1}`}: ${what}`,
  )
  expect(told[0]).toBe('primary: requests')
  expect(told.at(-1)).toBe('primary: replies')
  // Both backups and the primary go their ways at the same time; each way is in order.
  expect(told.slice(1, -1).sort()).toEqual([
    'backup 1: append',
    'backup 1: written',
    'backup 2: append',
    'backup 2: written',
    'primary: appendAck',
    'primary: appendAck',
    'primary: written',
  ])
  for (const backup of ['backup 1', 'backup 2']) {
    expect(told.indexOf(`${backup}: append`)).toBeLessThan(told.indexOf(`${backup}: written`))
  }
})

/** What each replica gets from the request on until its answer leaves, in the order of time. */
function inputsAround(transcript: readonly string[]): { node: string; what: string }[] {
  const out: { node: string; what: string }[] = []
  for (const line of transcript) {
    const match = /^\s*([\d.]+)\s+(r\d)\s+(<|>) (?:reply\{.*message=|(?:#\d+|r\d): )?(\w+)/.exec(line)
    if (match === null || Number(match[1]) < PUT_MS || !STEPS.includes(match[4]!)) continue
    if (out.length === 0 && match[4] !== 'requests') continue
    out.push({ node: match[2]!, what: match[4]! })
    if (match[4] === 'replies') break
  }
  return out
}
