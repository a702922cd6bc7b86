// The driver's contract with a core: one input at a time, effects before the next step, wake-ups, batches closed at the end of a
// turn, captures, health, and the stop at the first broken invariant. Time is the test's.
import { InvariantError, type Clock, type CommonEffect, type CommonInput } from '@coppice/protocol'
import { NodeDriver, type DrivenCore } from '@coppice/runtime/server'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'

type Message = { readonly text: string }
type Input =
  | CommonInput<Message, Message>
  | { readonly kind: 'flush' }
  | { readonly kind: 'apply' }
  | { readonly kind: 'capture' }
  | { readonly kind: 'health'; readonly sleptMs: number }
type Effect = CommonEffect<Message, Message, string> | { readonly kind: 'reload' }

class TestClock implements Clock {
  time = 0
  timers: { at: number; run: () => void }[] = []
  ends: (() => void)[] = []
  now = () => this.time
  after(delayMs: number, run: () => void) {
    const timer = { at: this.time + delayMs, run }
    this.timers.push(timer)
    return () => void (this.timers = this.timers.filter((each) => each !== timer))
  }
  endOfTurn(run: () => void) {
    this.ends.push(run)
  }
  endTurn() {
    for (const run of this.ends.splice(0)) run()
  }
  /** Time passes and due timers run. */
  advance(ms: number) {
    this.time += ms
    const due = this.timers.filter((each) => each.at <= this.time)
    this.timers = this.timers.filter((each) => each.at > this.time)
    for (const { run } of due) run()
  }
}

class TestCore implements DrivenCore<Input, Effect> {
  wakeAt = Infinity
  wantsFlush = false
  wantsApply = false
  wantsCapture = false
  readonly inputs: string[] = []
  answer: (input: Input) => Effect[] = () => []
  step(now: number, input: Input): Effect[] {
    this.inputs.push(`${now} ${input.kind}${input.kind === 'written' ? ` ${input.token}` : ''}`)
    return this.answer(input)
  }
}

function setUp(options: { health?: boolean } = {}) {
  const clock = new TestClock()
  const core = new TestCore()
  const done: string[] = []
  const hook: { during: (what: string) => void } = { during: () => undefined }
  const note = (what: string) => {
    done.push(what)
    hook.during(what)
  }
  const completions: (() => void)[] = []
  const driver: NodeDriver<Input, Effect> = new NodeDriver<Input, Effect>({
    core,
    clock,
    wire: {
      setAddress: (id, address) => note(`address ${id} ${address}`),
      send: (to, message) => note(`send ${to} ${message.text}`),
      reply: (connection, message) => note(`reply ${connection} ${message.text}`),
    },
    write: (token, writes, durable) => {
      note(`write ${token} ${writes.join()}`)
      completions.push(durable)
    },
    other: (effect) => note(effect.kind),
    onHalt: (reason) => note(`halt ${reason.split('\n')[0]}`),
    onEvent: (name) => note(`event ${name}`),
    ...(options.health === true ? { health: (sleptMs) => ({ kind: 'health', sleptMs }) as const } : {}),
  })
  return { clock, core, done, hook, completions, driver }
}

const gone = (connection: number): Input => ({ kind: 'clientGone', connection })

test('effects_goWhereTheyBelong_inOrder', () => {
  const { core, done, driver } = setUp()
  core.answer = () => [
    { kind: 'send', to: 'r2', message: { text: 'a' } },
    { kind: 'write', token: 4, writes: ['w'] },
    { kind: 'reply', connection: 1, message: { text: 'b' } },
    { kind: 'address', id: 'r3', address: 'h:1' },
    { kind: 'event', name: 'sealed', fields: {} },
    { kind: 'reload' },
  ]
  driver.input(gone(1))
  expect(done).toEqual(['send r2 a', 'write 4 w', 'reply 1 b', 'address r3 h:1', 'event sealed', 'reload'])
})

test('inputDuringEffects_waitsUntilAllAreExecuted', () => {
  const { core, done, hook, driver } = setUp()
  core.answer = (input) => {
    if (input.kind !== 'tick') return [{ kind: 'reload' }, { kind: 'event', name: 'sealed', fields: {} }]
    return [
      { kind: 'event', name: 'started', fields: {} },
      { kind: 'event', name: 'stopping', fields: {} },
    ]
  }
  hook.during = (what) => {
    if (what !== 'event started') return
    driver.input(gone(1))
    driver.input(gone(2))
  }
  driver.input({ kind: 'tick' })
  expect(done).toEqual(['event started', 'event stopping', 'reload', 'event sealed', 'reload', 'event sealed'])
})

test('written_comesBackAsAnInput', () => {
  const { core, completions, driver } = setUp()
  core.answer = (input) => (input.kind === 'tick' ? [{ kind: 'write', token: 9, writes: [] }] : [])
  driver.input({ kind: 'tick' })
  completions[0]!()
  expect(core.inputs).toEqual(['0 tick', '0 written 9'])
})

test('written_ofAReplacedCore_isDropped', () => {
  const { core, completions, driver } = setUp()
  core.answer = () => [{ kind: 'write', token: 9, writes: [] }]
  driver.input({ kind: 'tick' })
  const next = new TestCore()
  driver.replaceCore(undefined)
  driver.input(gone(1))
  driver.replaceCore(next)
  completions[0]!()
  driver.input(gone(2))
  expect(next.inputs).toEqual(['0 clientGone'])
})

test('queuedInputs_ofAReplacedCore_areDropped', () => {
  const { core, hook, driver } = setUp()
  const next = new TestCore()
  core.answer = () => [{ kind: 'reload' }]
  hook.during = () => {
    driver.input(gone(1))
    driver.replaceCore(next)
    driver.input(gone(2))
  }
  driver.input({ kind: 'tick' })
  expect(next.inputs).toEqual(['0 clientGone'])
})

test('tick_comesWhenWakeAtIsReached_notBefore', () => {
  const { clock, core, driver } = setUp()
  core.wakeAt = 50
  driver.input(gone(1))
  core.answer = (input) => {
    if (input.kind === 'tick') core.wakeAt = Infinity
    return []
  }
  clock.advance(49.5)
  expect(core.inputs).toEqual(['0 clientGone'])
  clock.advance(1)
  expect(core.inputs).toEqual(['0 clientGone', '50.5 tick'])
  clock.advance(1_000)
  expect(core.inputs).toHaveLength(2)
})

test('tick_movedLater_comesLater_movedEarlier_comesEarlier', () => {
  const { clock, core, driver } = setUp()
  core.wakeAt = 50
  driver.input(gone(1))
  core.wakeAt = 80
  driver.input(gone(1))
  core.inputs.length = 0
  clock.advance(60)
  expect(core.inputs).toEqual([])
  core.wakeAt = 70
  driver.input(gone(1))
  clock.advance(10)
  expect(core.inputs).toEqual(['60 clientGone', '70 tick'])
})

test('flush_comesOnceAtTheEndOfTheTurn', () => {
  const { clock, core, driver } = setUp()
  core.wantsFlush = true
  driver.input(gone(1))
  driver.input(gone(2))
  core.answer = (input) => {
    if (input.kind === 'flush') core.wantsFlush = false
    return []
  }
  expect(core.inputs).not.toContain('0 flush')
  clock.endTurn()
  clock.endTurn()
  expect(core.inputs.filter((each) => each === '0 flush')).toHaveLength(1)
})

test('apply_comesOnce_whenTheTurnHasLeft', async () => {
  const { core, driver } = setUp()
  core.answer = (input) => {
    core.wantsApply = input.kind !== 'apply'
    return []
  }
  driver.input(gone(1))
  driver.input(gone(2))
  expect(core.inputs).not.toContain('0 apply')
  await turn()
  await turn()
  expect(core.inputs.filter((each) => each === '0 apply')).toHaveLength(1)
})

test('apply_waitsForAFlush_butNotForEveryOneThatFollows', async () => {
  const { clock, core, driver } = setUp()
  core.answer = (input) => {
    core.wantsApply = input.kind !== 'apply'
    core.wantsFlush = input.kind !== 'flush'
    return []
  }
  driver.input(gone(1))
  await turn()
  expect(core.inputs).toEqual(['0 clientGone'])
  // Whatever else comes in each turn: once its batches are closed it is the time to apply.
  for (let i = 0; i < 5; i++) {
    driver.input(gone(2))
    clock.endTurn()
    await turn()
  }
  expect(core.inputs.filter((each) => each === '0 apply').length).toBeGreaterThanOrEqual(5)
})

test('apply_isNotGiven_toACoreThatHasNothingDue_afterAReplacement', async () => {
  const { core, driver } = setUp()
  core.wantsApply = true
  driver.input(gone(1))
  const next = new TestCore()
  driver.replaceCore(next)
  await turn()
  await turn()
  expect(core.inputs).toEqual(['0 clientGone'])
  expect(next.inputs).toEqual([])
  next.wantsApply = true
  next.answer = (input) => {
    next.wantsApply = input.kind !== 'apply'
    return []
  }
  driver.input(gone(2))
  await turn()
  expect(next.inputs).toEqual(['0 clientGone', '0 apply'])
})

test('capture_goesOnWhenIdle_andAlsoUnderLoad', () => {
  const { clock, core, driver } = setUp()
  core.wantsCapture = true
  driver.input(gone(1))
  clock.endTurn()
  clock.endTurn()
  expect(core.inputs.filter((each) => each.endsWith('capture'))).toHaveLength(2)
  // Busy turns: a piece only every so often.
  for (let turn = 0; turn < 20; turn++) {
    clock.advance(1)
    driver.input(gone(1))
    clock.endTurn()
  }
  const captures = core.inputs.filter((each) => each.endsWith('capture')).length
  expect(captures).toBe(4)
})

test('health_comesFirst_afterAStall', () => {
  const { clock, core, driver } = setUp({ health: true })
  clock.advance(100)
  expect(core.inputs).toEqual(['100 health'])
  // The timer is late as well: the input is handled first by the loop, but health is told before it.
  clock.time += 700
  driver.input(gone(1))
  expect(core.inputs).toEqual(['100 health', '800 health', '800 clientGone'])
})

test('invariantError_haltsOnce_andNothingReachesTheCoreAfterwards', () => {
  const { clock, core, done, driver } = setUp()
  core.answer = () => {
    throw new InvariantError('two primaries')
  }
  core.wakeAt = 10
  driver.input(gone(1))
  driver.input(gone(2))
  clock.advance(100)
  expect(done).toEqual(['halt InvariantError: two primaries'])
  expect(core.inputs).toHaveLength(1)
})

test('haltEffect_endsTheStep', () => {
  const { core, done, driver } = setUp()
  core.answer = () => [{ kind: 'halt', reason: 'disk' }, { kind: 'reload' }]
  driver.input(gone(1))
  driver.input(gone(2))
  expect(done).toEqual(['halt disk'])
})

test('suspended_nothingReachesTheCore_untilResume', async () => {
  const { clock, core, completions, driver } = setUp({ health: true })
  core.wakeAt = 50
  core.answer = (input) => (input.kind === 'clientGone' ? [{ kind: 'write', token: 7, writes: ['w'] }] : [])
  driver.input(gone(1))
  core.wantsFlush = true
  core.wantsApply = true
  driver.input(gone(2))
  driver.suspend()
  driver.input(gone(3))
  completions[0]!()
  clock.endTurn()
  await turn()
  for (let i = 0; i < 5; i++) clock.advance(100)
  expect(core.inputs).toEqual(['0 clientGone', '0 clientGone'])
  core.wantsFlush = false
  core.wantsApply = false
  driver.resume()
  // The stall first, then what waited, in its order; the timer that passed by is set again.
  expect(core.inputs.slice(2)).toEqual(['500 health', '500 clientGone', '500 written 7'])
  clock.advance(1)
  expect(core.inputs.at(-1)).toBe('501 tick')
})

test('suspendedBriefly_healthGoesOnEvery100ms', () => {
  const { clock, core, driver } = setUp({ health: true })
  driver.suspend()
  driver.resume()
  driver.resume()
  clock.advance(100)
  clock.advance(100)
  expect(core.inputs).toEqual(['100 health', '200 health'])
})

test('stoppedWhileSuspended_resumeDoesNothing', () => {
  const { core, driver } = setUp()
  driver.suspend()
  driver.input(gone(1))
  driver.stop()
  driver.resume()
  expect(core.inputs).toEqual([])
})
