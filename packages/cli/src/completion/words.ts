// What a shell may complete, read off the program itself: nothing is listed twice, so nothing can be forgotten.
import type { Command } from 'commander'

export interface Word {
  readonly word: string
  readonly description: string
}
/** A verb, or the program: what may stand behind it. */
export interface Place {
  /** The words that lead to it: `coppice kv get`. */
  readonly path: string
  readonly commands: readonly Word[]
  readonly options: readonly Word[]
  /** It takes names of files. */
  readonly files: boolean
}
/** An option that is followed by a value. */
export interface ValueOption {
  readonly flags: readonly string[]
  /** The only ones that are allowed; empty: any. */
  readonly choices: readonly string[]
  readonly files: boolean
}
export interface Completions {
  readonly places: readonly Place[]
  readonly valueOptions: readonly ValueOption[]
}

/** Options and arguments so named are files or directories. */
const FILE_NAMES = /\b(file|dir|path)\b/

export function completionsOf(program: Command): Completions {
  const places: Place[] = []
  const valueOptions = new Map<string, ValueOption>()
  const visit = (command: Command, path: string): void => {
    const help = command.createHelp()
    const visible = help.visibleCommands(command)
    const options: Word[] = []
    // The program's options are allowed behind every verb.
    for (const option of [...help.visibleOptions(command), ...(command === program ? [] : program.options)]) {
      const flags = [option.short, option.long].filter((flag) => flag !== undefined)
      options.push(...flags.map((word) => ({ word, description: option.description })))
      if (!option.required && !option.optional) continue
      const files = FILE_NAMES.test(option.flags)
      const choices = option.argChoices ?? choicesIn(option.description, option.flags)
      valueOptions.set(flags.join(), { flags, choices, files })
    }
    const files = command.registeredArguments.some((argument) => FILE_NAMES.test(argument.name()))
    const commands = visible.map((each) => ({ word: each.name(), description: each.description() }))
    for (const argument of command.registeredArguments) {
      for (const word of argument.argChoices ?? []) commands.push({ word, description: argument.description })
    }
    places.push({ path, commands, options, files })
    for (const each of visible) if (each.name() !== 'help') visit(each, `${path} ${each.name()}`)
  }
  visit(program, program.name())
  return { places, valueOptions: [...valueOptions.values()] }
}

/** `-o <format>`, "table or json": the words on both sides of "or" are all there are. */
function choicesIn(description: string, flags: string): string[] {
  const match = /^([a-z]+) or ([a-z]+)$/.exec(description)
  return match === null || !flags.includes('<') ? [] : [match[1]!, match[2]!]
}
