// coppice completion: what a shell needs to complete this command.
import { Argument, type Command } from 'commander'
import { completionScript, SHELLS, type Shell } from '../completion/shells.js'
import { completionsOf } from '../completion/words.js'

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  eval "$(coppice completion bash)"                                              this shell; in ~/.bashrc: every one
  eval "$(coppice completion zsh)"                                               in ~/.zshrc
  coppice completion fish > ~/.config/fish/completions/coppice.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, completionsOf(program)))
    })
}
