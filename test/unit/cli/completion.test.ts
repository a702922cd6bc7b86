// Shell completion, generated from the program: what bash offers is asked of bash itself.
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { completionScript, SHELLS } from '../../../packages/cli/src/completion/shells.js'
import { completionsOf } from '../../../packages/cli/src/completion/words.js'
import { buildProgram } from '../../../packages/cli/src/program.js'

const completions = completionsOf(buildProgram())
const bash = completionScript('bash', completions)

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ')
  const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _coppice; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['-uc', `${bash}\n${ask}`], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout.split('\n').filter((line) => line !== '')
}

test('bash_verbs_andVerbsBelowThem', () => {
  expect(offered('coppice', '')).toEqual(expect.arrayContaining(['dev', 'kv', 'txn', 'lock', 'status', 'completion']))
  expect(offered('coppice', 'k')).toEqual(['kv'])
  expect(offered('coppice', 'kv', '')).toEqual(
    expect.arrayContaining(['get', 'put', 'cond-put', 'del', 'ls', 'count', 'import', 'export']),
  )
  expect(offered('coppice', 'kv', 'co')).toEqual(['cond-put', 'count'])
  expect(offered('coppice', 'completion', '')).toEqual([...SHELLS])
})

test('bash_valuesOfOptionsAreNoVerbs', () => {
  expect(offered('coppice', '--data', 'kv', 'st')).toEqual(['status'])
  expect(offered('coppice', '--timeout', '5s', 'kv', 'g')).toEqual(['get'])
})

test('bash_optionsOfTheVerbAndOfTheProgram', () => {
  expect(offered('coppice', 'kv', 'ls', '--re')).toEqual(['--reverse'])
  expect(offered('coppice', 'kv', 'ls', '--t')).toEqual(expect.arrayContaining(['--timeout', '--token']))
  expect(offered('coppice', 'kv', 'get', '--re')).toEqual([])
})

test('bash_valuesOfOptions_choicesFilesOrNothing', () => {
  expect(offered('coppice', '-o', '')).toEqual(['table', 'json'])
  expect(offered('coppice', 'kv', 'ls', '--limit', '')).toEqual([])
  expect(offered('coppice', 'kv', 'put', 'key', '--file', 'packag')).toEqual(
    expect.arrayContaining(['packages', 'package.json']),
  )
  expect(offered('coppice', 'txn', 'packag')).toEqual(expect.arrayContaining(['package.json']))
})

test('everyVerb_isInEveryShellsScript', () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, completions)
    for (const { commands } of completions.places) for (const { word } of commands) expect(script).toContain(word)
  }
})

test('zsh_noNameThatIsSpecialThere', () => {
  // `path` is tied to PATH, `words` belongs to completion itself.
  expect(bash).not.toMatch(/\b(path|words|status|argv)=/)
})
