// The text form of histories: what every line means, and what is said about a line that means nothing.
import { describe, expect, test } from 'vitest'
import { checkHistory, HistoryError, operationsOf, parseHistory } from '../../../packages/sim/src/checker/index.js'
import { canonical, parseJson } from '../../../packages/sim/src/checker/json.js'

function verdictOf(...lines: string[]): string {
  return checkHistory(parseHistory(lines.join('\n'))).verdict
}
const line = (process: number | string, type: string, f: string, value?: unknown, key: unknown = 'x'): string =>
  JSON.stringify({ process, type, f, key, value })

describe('parseHistory', () => {
  test('parseHistory_joinsAnswersToInvocations', () => {
    const operations = parseHistory(
      [
        line(1, 'invoke', 'write', 5),
        '',
        line(2, 'invoke', 'read'),
        line(2, 'ok', 'read', 5),
        line(1, 'info', 'write', 5),
      ].join('\n'),
    )
    expect(operations).toEqual([
      { process: 1, f: 'write', key: '"x"', value: 5, outcome: 'open', invoked: 1, completed: Infinity },
      { process: 2, f: 'read', key: '"x"', value: 5, outcome: 'ok', invoked: 3, completed: 4 },
    ])
  })

  test('parseHistory_windowsLineEnds_nemesisAndInvocationWithoutAnswer', () => {
    const text = [
      line('nemesis', 'info', 'kill'),
      line(1, 'invoke', 'write', 1),
      line(1, 'invoke', 'write', 2),
      line(1, 'ok', 'write', 2),
    ]
    const operations = parseHistory(text.join('\r\n'))
    expect(operations.map(({ outcome }) => outcome)).toEqual(['open', 'ok'])
  })

  test('parseHistory_infoOfNothingInvoked_isPassedOver', () => {
    const lost = [line(1, 'invoke', 'write', 1), line(1, 'info', 'write', 1), line(1, 'info', 'write', 'timed out')]
    expect(parseHistory(lost.join('\n'))).toMatchObject([{ f: 'write', value: 1, outcome: 'open' }])
    expect(parseHistory(line(1, 'info', 'read'))).toEqual([])
  })

  test('parseHistory_malformed_namesTheLine', () => {
    const bad: [string, RegExp][] = [
      ['{"process":1', /line 2: not JSON/],
      ['[1]', /line 2: not a JSON object/],
      [JSON.stringify({ type: 'invoke', f: 'read', key: 'x' }), /line 2: "process"/],
      [line(2, 'begin', 'read'), /line 2: "type" must be one of invoke, ok, fail, info, not "begin"/],
      [line(2, 'invoke', 'increment'), /line 2: "f" must be one of read, write, cas, append/],
      [line(2, 'invoke', 'cas', 5), /line 2: "value" of a cas must be \[old, new\]/],
      [line(2, 'invoke', 'append', 5), /line 2: "value" of an append must be a string/],
      [line(2, 'ok', 'read', 5), /line 2: process 2 answers "ok" but has nothing invoked/],
      [line(1, 'ok', 'write', 5), /line 2: process 1 answers write but invoked read on line 1/],
      [line(1, 'ok', 'read', 5, 'y'), /line 2: process 1 answers for key "y" but invoked for "x"/],
    ]
    for (const [text, message] of bad) {
      expect(() => parseHistory(`${line(1, 'invoke', 'read')}\n${text}\n`), text).toThrow(HistoryError)
      expect(() => parseHistory(`${line(1, 'invoke', 'read')}\n${text}\n`), text).toThrow(message)
    }
  })
})

describe('checkHistory', () => {
  test('checkHistory_readOfNothingWritten', () => {
    expect(verdictOf(line(1, 'invoke', 'read'), line(1, 'ok', 'read', null))).toBe('ok')
    expect(verdictOf(line(1, 'invoke', 'read'), line(1, 'ok', 'read', 1))).toBe('illegal')
    expect(verdictOf(line(1, 'invoke', 'read'), line(1, 'ok', 'read', ''))).toBe('illegal')
  })

  test('checkHistory_failMeansTheComparisonFailed_orThatItNeverHappened', () => {
    const wrote = [line(1, 'invoke', 'write', 1), line(1, 'ok', 'write', 1)]
    expect(verdictOf(...wrote, line(2, 'invoke', 'cas', [1, 2]), line(2, 'fail', 'cas', [1, 2]))).toBe('illegal')
    expect(verdictOf(...wrote, line(2, 'invoke', 'cas', [3, 2]), line(2, 'fail', 'cas', [3, 2]))).toBe('ok')
    const failed = [line(1, 'invoke', 'write', 1), line(1, 'fail', 'write', 1)]
    expect(verdictOf(...failed, line(2, 'invoke', 'read'), line(2, 'ok', 'read', 1))).toBe('illegal')
    expect(verdictOf(...failed, line(2, 'invoke', 'read'), line(2, 'ok', 'read', null))).toBe('ok')
  })

  test('checkHistory_infoMayTakeEffectMuchLater_once', () => {
    const lost = [line(1, 'invoke', 'write', 1), line(1, 'info', 'write', 1)]
    const read = (value: unknown): string[] => [line(2, 'invoke', 'read'), line(2, 'ok', 'read', value)]
    expect(verdictOf(...lost, ...read(null), ...read(null), ...read(1))).toBe('ok')
    expect(verdictOf(...lost, ...read(null))).toBe('ok')
    expect(verdictOf(...lost, ...read(1), ...read(null))).toBe('illegal')
    const other = [line(3, 'invoke', 'write', 2), line(3, 'ok', 'write', 2)]
    expect(verdictOf(...lost, ...read(1), ...other, ...read(1))).toBe('illegal')
  })

  test('checkHistory_append_nullCountsAsEmptyText', () => {
    const append = (text: unknown): string[] => [line(1, 'invoke', 'append', text), line(1, 'ok', 'append', text)]
    const read = (value: unknown): string[] => [line(2, 'invoke', 'read'), line(2, 'ok', 'read', value)]
    expect(verdictOf(...append('a'), ...append('b'), ...read('ab'))).toBe('ok')
    expect(verdictOf(...append('a'), ...append('b'), ...read('ba'))).toBe('illegal')
    expect(verdictOf(...append(null), ...read(''))).toBe('ok')
    const absent = [line(1, 'invoke', 'write', null), line(1, 'ok', 'write', null)]
    expect(verdictOf(...append('a'), ...absent, ...append('b'), ...read('b'))).toBe('ok')
  })

  // As recorded from etcd: reads of nil, comparisons that fail, timeouts after which the client goes on under another number.
  test('checkHistory_timeoutsAndFailedComparisons_asRecordedFromEtcd', () => {
    const start = [
      line(0, 'invoke', 'read'),
      line(0, 'ok', 'read', null),
      line(1, 'invoke', 'cas', [3, 1]),
      line(2, 'invoke', 'write', 2),
      line(1, 'fail', 'cas', [3, 1]),
      line(2, 'info', 'write', 2),
      line(7, 'invoke', 'cas', [2, 4]),
      line(0, 'invoke', 'read'),
      line(7, 'ok', 'cas', [2, 4]),
    ]
    const reads = (...values: unknown[]): string[] =>
      values.flatMap((value) => [line(9, 'invoke', 'read'), line(9, 'ok', 'read', value)])
    expect(verdictOf(...start, line(0, 'ok', 'read', 2), ...reads(4, 4))).toBe('ok')
    expect(verdictOf(...start, line(0, 'ok', 'read', null), ...reads(4))).toBe('ok')
    expect(verdictOf(...start, line(0, 'info', 'read', null), ...reads(4, 2))).toBe('illegal')
    expect(verdictOf(...start, line(0, 'ok', 'read', 3))).toBe('illegal')
    // The cas of process 7 needs the lost write, which took effect once only.
    const again = [line(8, 'invoke', 'cas', [2, 4]), line(8, 'ok', 'cas', [2, 4])]
    expect(verdictOf(...start, ...again)).toBe('illegal')
  })

  test('checkHistory_appends_lostAndEmpty', () => {
    const append = (text: string, answer = 'ok'): string[] => [
      line(1, 'invoke', 'append', text),
      line(1, answer, 'append'),
    ]
    const reads = (...values: unknown[]): string[] =>
      values.flatMap((value) => [line(2, 'invoke', 'read'), line(2, 'ok', 'read', value)])
    expect(verdictOf(...append('', 'info'), ...reads(null, ''))).toBe('ok')
    expect(verdictOf(...append('', 'info'), ...reads('', null))).toBe('illegal')
    expect(verdictOf(...append('x 0 1 y', 'info'), ...append('x 0 2 y'), ...reads('x 0 2 y', 'x 0 2 yx 0 1 y'))).toBe(
      'ok',
    )
    expect(verdictOf(...append('x 0 1 y'), ...append('x 0 2 y'), ...reads('x 0 2 y'))).toBe('illegal')
    expect(verdictOf(...append('a'), ...reads('aa'))).toBe('illegal')
  })

  test('checkHistory_keysAreApart_valuesAreComparedByMeaning', () => {
    const objects = [
      line(1, 'invoke', 'write', { a: [1, 2], b: null }),
      line(1, 'ok', 'write'),
      '{"process":2,"type":"invoke","f":"read","key":"x"}',
      '{"process":2,"type":"ok","f":"read","key":"x","value":{"b":null, "a":[1.0, 2e0]}}',
    ]
    expect(verdictOf(...objects)).toBe('ok')
    expect(verdictOf(...objects, line(2, 'invoke', 'read', null, 'y'), line(2, 'ok', 'read', null, 'y'))).toBe('ok')
    expect(
      verdictOf(
        line(1, 'invoke', 'write', 1, 'a'),
        line(1, 'ok', 'write', 1, 'a'),
        line(2, 'invoke', 'read', null, 'b'),
        line(2, 'ok', 'read', 1, 'b'),
      ),
    ).toBe('illegal')
    expect(
      verdictOf(
        '{"process":1,"type":"invoke","f":"write","key":"x","value":9007199254740993}',
        '{"process":1,"type":"ok","f":"write","key":"x"}',
        '{"process":2,"type":"invoke","f":"read","key":"x"}',
        '{"process":2,"type":"ok","f":"read","key":"x","value":9007199254740992}',
      ),
    ).toBe('illegal')
  })

  test('checkHistory_illegal_namesTheSmallestPart', () => {
    const noise = Array.from({ length: 40 }, (_, i) => [
      line(9, 'invoke', 'write', `n${i}`),
      line(9, 'ok', 'write', `n${i}`),
    ]).flat()
    const result = checkHistory(
      parseHistory(
        [
          ...noise,
          line(1, 'invoke', 'write', 'old'),
          line(1, 'ok', 'write', 'old'),
          line(1, 'invoke', 'write', 'new'),
          line(1, 'ok', 'write', 'new'),
          line(2, 'invoke', 'read'),
          line(2, 'ok', 'read', 'old'),
        ].join('\n'),
      ),
    )
    expect(result.verdict).toBe('illegal')
    if (result.verdict !== 'illegal') return
    expect(result.part).toHaveLength(3)
    expect(result.message).toContain('process 2 read "old" (lines 85–86)')
  })

  test('checkHistory_outOfTime_isUnknown', () => {
    const events = Array.from({ length: 3_000 }, (_, i) => ({
      process: i,
      type: 'invoke' as const,
      f: 'write' as const,
      key: 'x',
      value: i % 7,
    }))
    const answers = events.map((event) => ({ ...event, type: 'ok' as const }))
    const reads = [5, 3, 5, 1, 6, 0, 5].flatMap((value) => [
      { process: 'r', type: 'invoke' as const, f: 'read' as const, key: 'x' },
      { process: 'r', type: 'ok' as const, f: 'read' as const, key: 'x', value },
    ])
    const result = checkHistory(operationsOf([...events, ...reads, ...answers]), { budget: () => false })
    expect(result.verdict).toBe('unknown')
  })
})

test('canonical_equalExactlyWhenTheValuesAre', () => {
  const same = [
    ['1', '1.0', '1e0', '10e-1'],
    ['{"a":1,"b":2}', '{"b":2,"a":1}'],
    ['"é"', '"\\u00e9"'],
    ['12345678901234567890', '12345678901234567890.0', '1234567890123456789e1'],
    ['0', '-0', '0.0'],
  ]
  for (const texts of same)
    expect(new Set(texts.map((text) => canonical(parseJson(text)))).size, texts.join(' ')).toBe(1)
  const different = [
    'null',
    '""',
    '0',
    '"0"',
    'false',
    '[]',
    '{}',
    '[null]',
    '1e400',
    '1e-400',
    '9007199254740992',
    '9007199254740993',
    '"#exact:1"',
  ]
  expect(new Set(different.map((text) => canonical(parseJson(text)))).size).toBe(different.length)
})
