// Completion scripts for shells. Each finds out behind which verb the cursor stands, by the words before it, and offers what may follow.
import type { Completions, ValueOption } from './words.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(shell: Shell, completions: Completions): string {
  switch (shell) {
    case 'bash':
      return bash(completions)
    case 'zsh':
      return zsh(completions)
    case 'fish':
      return fish(completions)
  }
}

function bash({ places, valueOptions }: Completions): string {
  const flags = valueOptions.flatMap((option) => option.flags)
  const steps = places.flatMap(({ path, commands }) =>
    commands.map(({ word }) => `      '${path} ${word}') verb='${path} ${word}' ;;`),
  )
  const values = valueOptions.map((option) => `    ${option.flags.join('|')}) ${bashValues(option)}; return ;;`)
  const offers = places.map(({ path, commands, options, files }) => {
    const names = commands.map(({ word }) => word).join(' ')
    const dashed = options.map(({ word }) => word).join(' ')
    return `    '${path}') names='${names}' options='${dashed}' files=${files ? 'yes' : ''} ;;`
  })
  return `# bash completion of coppice: eval "$(coppice completion bash)", or put it into /etc/bash_completion.d
_coppice_files() {
  # One name a line; those of directories go on.
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY+=($(compgen -f -- "$1"))
}
_coppice() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" verb=coppice word before= inside= names= options= files= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    # bash makes three words of --option=value, zsh makes one.
    if [[ "$word" == "=" ]]; then continue; fi
    # What follows an option is its value, not a verb.
    case "$before" in
      ${flags.join('|')}) before=; continue ;;
    esac
    before="$word"
    case "$verb $word" in
${steps.join('\n')}
    esac
  done
  case "$cur" in
    =) cur= ;;
    --*=*) before="\${cur%%=*}"; inside="$before="; cur="\${cur#*=}" ;;
  esac
  case "$before" in
${values.join('\n')}
  esac
  case "$verb" in
${offers.join('\n')}
  esac
  if [[ "$cur" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$names" -- "$cur"))
    if [[ -n "$files" ]]; then _coppice_files "$cur"; fi
  fi
}
complete -F _coppice coppice
`
}

function bashValues({ choices, files }: ValueOption): string {
  if (choices.length > 0) return `COMPREPLY=($(compgen -P "$inside" -W '${choices.join(' ')}' -- "$cur"))`
  return files ? '_coppice_files "$cur"' : 'COMPREPLY=()'
}

// zsh brings what runs bash's completions.
function zsh(completions: Completions): string {
  return `#compdef coppice
# zsh completion of coppice: eval "$(coppice completion zsh)" in ~/.zshrc
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
${bash(completions)}`
}

function fish({ places, valueOptions }: Completions): string {
  const flags = valueOptions.flatMap((option) => option.flags)
  const verbs = places.flatMap(({ path, commands }) => commands.map(({ word }) => `'${path} ${word}'`))
  const lines = places.flatMap(({ path, commands, options, files }) => {
    const here = `complete -c coppice -n '__coppice_at "${path}"'`
    return [
      ...(files ? [`${here} -F`] : []),
      ...commands.map(({ word, description }) => `${here} -a ${word} -d ${quoted(description)}`),
      ...options.map(({ word, description }) => {
        const option = valueOptions.find((each) => each.flags.includes(word))
        const name = word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`
        return `${here} ${name}${option === undefined ? '' : fishValue(option)} -d ${quoted(description)}`
      }),
    ]
  })
  return `# fish completion of coppice: coppice completion fish > ~/.config/fish/completions/coppice.fish
function __coppice_at
    set -l path coppice
    set -l before ''
    for word in (commandline -opc)[2..-1]
        # What follows an option is its value, not a verb.
        if contains -- "$before" ${flags.join(' ')}
            set before ''
            continue
        end
        set before $word
        if contains -- "$path $word" ${verbs.join(' ')}
            set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
complete -c coppice -f
${lines.join('\n')}
`
}

function fishValue({ choices, files }: ValueOption): string {
  return choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : files ? ' -r -F' : ' -x'
}

/** In single quotes, which fish ends at nothing but a quote. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, (char) => `\\${char}`)}'`
}
