import { Command, CommanderError } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { register as registerAgent } from './agent.ts'
import { register as registerDemo } from './demo.ts'
import { register as registerImage } from './image.ts'
import { reportError, wantsJson, watchOutput } from './output.ts'
import { register as registerSeed } from './seed.ts'
import { register as registerStatus } from './status.ts'
import { register as registerTicket } from './ticket.ts'

// Lines of help end here, whatever the terminal: what is read in a log stays as it was written.
const helpColumns = 100

function buildProgram(): Command {
  const program = new Command('bootswarm')
    .description(
      'Boot a whole lab from one OS image: every machine works at once, all share the load'
    )
    .exitOverride()
    // Its errors are printed like all others, by reportError.
    .configureOutput({
      outputError: () => {},
      getOutHelpWidth: () => helpColumns,
      getErrHelpWidth: () => helpColumns
    })
    .showSuggestionAfterError()
  registerDemo(program)
  registerImage(program)
  registerSeed(program)
  registerTicket(program)
  registerAgent(program)
  registerStatus(program)
  return program
}

/** Runs one command line; returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const json = wantsJson(args)
  try {
    await buildProgram().parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error, json)
    if (error.exitCode === 0) return 0
    const message =
      error.code === 'commander.help'
        ? 'a command is missing; the help above lists them'
        : error.message.replace(/^error: /, '')
    return reportError(new BootswarmError('ERR_USAGE', message), json)
  }
}

const args = process.argv.slice(2)
watchOutput()
process.on('uncaughtException', error => {
  // Nothing is known of the state that such an error leaves behind.
  process.exit(reportError(error, wantsJson(args)))
})
process.exitCode = await run(args)
