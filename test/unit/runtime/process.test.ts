// Logs, signals and the ends of a turn.
import { systemClock } from '@coppice/runtime'
import { createLogger, onShutdownSignals } from '@coppice/runtime/server'
import { expect, test } from 'vitest'
import { afterTurn } from '../../../packages/runtime/src/turn.js'

test('logger_neverWritesBytes_andCutsLongText', () => {
  const lines: string[] = []
  const logger = createLogger({ id: 'r1', role: 'replica', group: 'main', write: (line) => lines.push(line) })
  logger.event('sealed', {
    epoch: 3,
    value: new Uint8Array(5),
    nested: { key: Buffer.from('secret') },
    long: 'x'.repeat(900),
  })
  const line = JSON.parse(lines[0]!) as Record<string, unknown>
  expect(line).toMatchObject({
    level: 'info',
    id: 'r1',
    role: 'replica',
    group: 'main',
    event: 'sealed',
    epoch: 3,
    value: '5 bytes',
  })
  expect(line['nested']).toEqual({ key: '6 bytes' })
  expect((line['long'] as string).length).toBeLessThan(600)
  expect(lines[0]).not.toContain('secret')
})

test('logger_troubleIsAWarning_andLevelsFilter', () => {
  const lines: string[] = []
  const logger = createLogger({ id: 'r1', role: 'replica', level: 'warn', write: (line) => lines.push(line) })
  logger.event('sealed', {})
  logger.event('diskLow', {})
  expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(['diskLow'])
})

test('firstSignal_stopsInOrder_secondEndsAtOnce', async () => {
  const codes: number[] = []
  let finish = () => {}
  let bothSaid = () => {}
  const exited = new Promise<void>((resolve) => (bothSaid = resolve))
  const exit = (code: number) => {
    if (codes.push(code) === 2) bothSaid()
  }
  const off = onShutdownSignals(() => new Promise((done) => (finish = done)), { exit, echoMs: 0 })
  process.emit('SIGTERM')
  process.emit('SIGINT')
  finish()
  await exited
  off()
  expect(codes).toEqual([130, 0])
})

test('echoOfTheSameSignal_isNotASecondOne', async () => {
  const codes: number[] = []
  let finish = () => {}
  let said = () => {}
  const exited = new Promise<void>((resolve) => (said = resolve))
  const exit = (code: number) => {
    codes.push(code)
    said()
  }
  const off = onShutdownSignals(() => new Promise((done) => (finish = done)), { exit, echoMs: 60_000 })
  process.emit('SIGINT')
  process.emit('SIGINT')
  finish()
  await exited
  off()
  expect(codes).toEqual([0])
})

test('turn_closesBatchesBeforeItUncorks', async () => {
  const order: string[] = []
  await new Promise<void>((resolve) => {
    afterTurn(() => order.push('uncork'))
    systemClock.endOfTurn(() => {
      order.push('flush')
      // What the flush sends is uncorked in the same turn.
      afterTurn(() => order.push('uncork of the flush'))
      systemClock.endOfTurn(() => {
        order.push('next turn')
        resolve()
      })
    })
  })
  expect(order).toEqual(['flush', 'uncork', 'uncork of the flush', 'next turn'])
})
