import { expect, test } from 'vitest'
import { InvariantError } from '@coppice/protocol'
import { nodeBytes, nodeText } from '@coppice/runtime'
import { runSeed } from '@coppice/sim'

const ports = { bytes: nodeBytes, text: nodeText }

test('run_same_seed_same_transcript', async () => {
  const plan = { healMs: 3_500 }
  const first = await runSeed(11, { ports, plan, trace: true })
  const second = await runSeed(11, { ports, plan, trace: true })
  expect(first.transcript.length).toBeGreaterThan(1_000)
  expect(second.transcript).toEqual(first.transcript)
  const other = await runSeed(12, { ports, plan, trace: true })
  expect(other.transcript).not.toEqual(first.transcript)
})

test('run_a_disk_that_forgets_is_a_violation_with_step_and_transcript', async () => {
  const result = await runSeed(3, {
    ports,
    plan: { healMs: 5_000 },
    story: (cluster) => {
      cluster.kernel.at(3_000, () => {
        const backup = cluster.replicas.find((r) => r.view?.isPrimary === false && r.view.activated)!
        backup.store.records.length -= 1
      })
    },
  })
  expect(result.ok).toBe(false)
  expect(['I8', 'disk']).toContain(result.violation!.invariant)
  expect(result.violation!.timeMs).toBeGreaterThan(3_000)
  expect(result.violation!.step).toBe(result.steps)
  expect(result.transcript.at(-1)).toContain(result.violation!.message)
})

test('run_a_core_that_throws_is_a_violation', async () => {
  const result = await runSeed(3, {
    ports,
    plan: { healMs: 5_000 },
    quick: true,
    story: (cluster) => {
      cluster.kernel.at(3_000, () => {
        const host = cluster.primary as unknown as { core: { step: () => never } }
        host.core.step = () => {
          throw new InvariantError('planted')
        }
      })
    },
  })
  expect(result.violation!.invariant).toBe('core')
  expect(result.violation!.message).toContain('planted')
})
