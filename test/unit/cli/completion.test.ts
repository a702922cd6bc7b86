// Shell completion, generated from the program: what a shell offers is asked of the shell itself, where it is installed.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { completionScript, SHELLS, type Shell } from '../../../packages/cli/src/completion/shells.js'
import { completionsOf } from '../../../packages/cli/src/completion/words.js'
import { buildProgram } from '../../../packages/cli/src/program.js'

const completions = completionsOf(buildProgram())
const bash = completionScript('bash', completions)

/** What a shell offers for the last of these words. */
type Offered = (...words: string[]) => string[]

function ran(command: string, args: readonly string[]): string[] {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout.split('\n').filter((line) => line !== '')
}
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ')
}

const offeredBy: Readonly<Record<Shell, Offered>> = {
  bash: (...words) => {
    // As bash splits them.
    const split = words
      .flatMap((word) => word.split(/(=)/))
      .filter((word, i, all) => word !== '' || i === all.length - 1)
    const ask = `COMP_WORDS=(${quoted(split)}); COMP_CWORD=${split.length - 1}; _coppice; printf '%s\\n' "\${COMPREPLY[@]}"`
    return ran('bash', ['--norc', '-uc', `${bash}\n${ask}`])
  },
  // As zsh's own bridge asks a completion of bash's.
  zsh: (...words) => {
    const script = completionScript('zsh', completions).replaceAll('&& compinit', '&& compinit -D -u')
    const asked = `COMP_WORDS=(${quoted(words)}); words=(${quoted(words)}); COMP_CWORD=${words.length - 1}; CURRENT=${words.length}`
    const offers = ran('zsh', ['-fc', `${script}\n${asked}; compgen -F _coppice -- '${words.at(-1)}' || true`])
    // What does not begin so zsh leaves out itself.
    return offers.filter((offer) => offer.startsWith(words.at(-1)!))
  },
  fish: (...words) => {
    const script = completionScript('fish', completions)
    const lines = ran('fish', ['--no-config', '-c', `${script}\ncomplete -C '${words.join(' ')}'`])
    return lines.map((line) => line.split('\t')[0]!)
  },
}

const isInstalled = (shell: Shell): boolean => spawnSync(shell, ['--version']).error === undefined

for (const shell of SHELLS) {
  const offered = offeredBy[shell]
  describe.skipIf(!isInstalled(shell))(`${shell} (skipped where it is not installed)`, () => {
    test('verbs_andVerbsBelowThem', () => {
      const verbs = ['dev', 'kv', 'txn', 'lock', 'status', 'completion']
      expect(offered('coppice', '')).toEqual(expect.arrayContaining(verbs))
      expect(offered('coppice', 'k')).toEqual(['kv'])
      expect(offered('coppice', 'kv', '')).toEqual(
        expect.arrayContaining(['get', 'put', 'cond-put', 'del', 'ls', 'count', 'import', 'export']),
      )
      expect(offered('coppice', 'kv', 'co')).toEqual(['cond-put', 'count'])
      expect(offered('coppice', 'completion', '')).toEqual(expect.arrayContaining([...SHELLS]))
    })

    test('valuesOfOptionsAreNoVerbs', () => {
      expect(offered('coppice', '--data', 'kv', 'st')).toEqual(['status'])
      expect(offered('coppice', '--timeout', '5s', 'kv', 'g')).toEqual(['get'])
      expect(offered('coppice', '--timeout=5s', 'kv', 'g')).toEqual(['get'])
    })

    test('optionsOfTheVerbAndOfTheProgram', () => {
      expect(offered('coppice', 'kv', 'ls', '--re')).toEqual(['--reverse'])
      expect(offered('coppice', 'kv', 'ls', '--t')).toEqual(expect.arrayContaining(['--timeout', '--token']))
      expect(offered('coppice', 'kv', 'get', '--re')).toEqual([])
    })

    test('valuesOfOptions_choicesFilesOrNothing', () => {
      expect([...offered('coppice', '-o', '')].sort()).toEqual(['json', 'table'])
      expect(offered('coppice', 'kv', 'ls', '--limit', '')).toEqual([])
      const files = offered('coppice', 'kv', 'put', 'key', '--file', 'packag')
      // Some shells end a directory's name.
      expect(files.map((file) => file.replace(/\/$/, ''))).toEqual(expect.arrayContaining(['packages', 'package.json']))
      expect(offered('coppice', 'txn', 'packag')).toEqual(expect.arrayContaining(['package.json']))
    })

    test('valueBehindAnEqualsSign', () => {
      const [json] = offered('coppice', 'status', '--output=j')
      // bash replaces what stands behind the sign, the others the whole word.
      expect(json).toBe(shell === 'bash' ? 'json' : '--output=json')
      expect(offered('coppice', 'status', '--output=')).toHaveLength(2)
    })
  })
}

test.runIf(isInstalled('bash'))('bash_nameOfAFileWithASpace_isOneOffer', () => {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-completion-'))
  try {
    writeFileSync(join(dir, 'two words'), '')
    expect(offeredBy.bash('coppice', 'txn', `${dir}/two`)).toEqual([`${dir}/two words`])
  } finally {
    rmSync(dir, { recursive: true })
  }
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
