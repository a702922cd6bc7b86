// coppice check-history: whether a recorded history is linearizable.
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { settingsFor } from '../base/context.js'
import { CliError, EXIT } from '../base/exit.js'
import { note, paint, print, printJson } from '../base/output.js'

const DEFAULT_TIMEOUT_MS = 60_000

export function addCheckHistory(program: Command): void {
  program
    .command('check-history')
    .description('whether a recorded history of reads, writes, cas and appends is linearizable')
    .argument('<file>', 'JSON lines in real-time order; - reads stdin')
    .addHelpText(
      'after',
      `
One event a line: {"process":3,"type":"invoke"|"ok"|"fail"|"info","f":"read"|"write"|"cas"|"append","key":"x","value":…}
A cas has "value":[old,new]; a read gets its value on ok, null when absent; fail of a cas means that its comparison failed, of anything
else that it never happened; after info, or without an answer, it may take effect at any later time or never.

Prints linearizable (exit code 0), not linearizable with the smallest offending part (4), or unknown when --timeout (default 60s)
has passed (1). A history that cannot be read is a usage error (2) that names the line.`,
    )
    .action(async (file: string, _flags, command: Command) => {
      const settings = settingsFor(command)
      const text = readText(file)
      const { checkHistory, HistoryError, parseHistory } = await import('@coppice/sim')
      let operations
      try {
        operations = parseHistory(text)
      } catch (error) {
        if (error instanceof HistoryError) throw new CliError(EXIT.usage, `${file}: ${error.message}`)
        throw error
      }
      const deadline = performance.now() + (settings.timeoutMs ?? DEFAULT_TIMEOUT_MS)
      const result = checkHistory(operations, { budget: () => performance.now() < deadline })
      const json = settings.output === 'json'
      switch (result.verdict) {
        case 'ok':
          if (json) printJson({ verdict: 'linearizable', operations: result.operations, keys: result.keys })
          else print(paint('green', 'linearizable'))
          return
        case 'illegal':
          if (json)
            printJson({ verdict: 'not linearizable', key: result.key, part: result.part, message: result.message })
          else print(`${paint('red', 'not linearizable')}\n${result.message}`)
          process.exitCode = EXIT.conditionNotMet
          return
        case 'unknown':
          if (json) printJson({ verdict: 'unknown', keys: result.keys })
          else print(paint('yellow', 'unknown'))
          note(
            `out of time; undecided keys: ${result.keys.slice(0, 10).join(', ')}${result.keys.length > 10 ? ', …' : ''}`,
          )
          process.exitCode = EXIT.error
      }
    })
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new CliError(EXIT.usage, `${file} cannot be read: ${(error as Error).message}`)
  }
}
