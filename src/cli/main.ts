import { readFile } from 'node:fs/promises'
import { Command, CommanderError } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { reportError, wantsJson, watchOutput } from './output.ts'
import { heedNohup } from './stop-signal.ts'

// Lines of help end here, whatever the terminal: what is read in a log stays as it was written.
const helpColumns = 100

// Only the command that is run is loaded: libp2p alone costs an import 60 MB and a quarter second.
const commands: Readonly<Record<string, () => Promise<{ register(program: Command): void }>>> = {
  demo: () => import('./demo.ts'),
  image: () => import('./image.ts'),
  seed: () => import('./seed.ts'),
  ticket: () => import('./ticket.ts'),
  agent: () => import('./agent.ts'),
  attach: () => import('./attach.ts'),
  export: () => import('./export.ts'),
  netboot: () => import('./netboot.ts'),
  status: () => import('./status.ts')
}

async function buildProgram(args: readonly string[]): Promise<Command> {
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
  const [named = ''] = args
  const versionFlags = ['-V', '--version']
  program.version(versionFlags.includes(named) ? await versionText() : '', versionFlags.join(', '))
  const needed = Object.hasOwn(commands, named) ? [commands[named]] : Object.values(commands)
  for (const load of needed) (await load?.())?.register(program)
  return program
}

/** Help is of something: with a command that is none the line is refused, whatever follows. */
function worthParsing(args: readonly string[]): readonly string[] {
  const [named = '-'] = args
  const isKnown = named.startsWith('-') || named === 'help' || Object.hasOwn(commands, named)
  return isKnown ? args : [named]
}

/** An option that is none is the likelier slip of the pen than one that is missing. */
function unknownOption(program: Command, args: readonly string[]): string | undefined {
  let command = program
  for (const word of args) {
    command = command.commands.find(one => one.name() === word) ?? command
  }
  const flags = args.filter(word => word.startsWith('-')).map(word => word.replace(/=.*/, ''))
  const known = command.options.flatMap(({ short, long }) => [short, long])
  return flags.find(flag => !known.includes(flag))
}

/** Of the package and of the protocol: machines of one lab have the same protocol. */
async function versionText(): Promise<string> {
  const { protocolVersion } = await import('../swarm/index.ts')
  const about = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(about) as { version: string }
  return `bootswarm ${version}, protocol ${protocolVersion}`
}

/** Runs one command line; returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const json = wantsJson(args)
  const program = await buildProgram(args)
  try {
    await program.parseAsync(worthParsing(args), { from: 'user' })
    return 0
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error, json)
    if (error.exitCode === 0) return 0
    return reportError(new BootswarmError('ERR_USAGE', usageText(error, program, args)), json)
  }
}

function usageText(error: CommanderError, program: Command, args: readonly string[]): string {
  if (error.code === 'commander.help') return 'a command is missing; the help above lists them'
  const isMissing = error.code === 'commander.missingMandatoryOptionValue'
  const unknown = isMissing ? unknownOption(program, args) : undefined
  return unknown === undefined
    ? error.message.replace(/^error: /, '')
    : `unknown option '${unknown}'`
}

const args = process.argv.slice(2)
watchOutput()
heedNohup()
process.on('uncaughtException', error => {
  // Nothing is known of the state that such an error leaves behind.
  process.exit(reportError(error, wantsJson(args)))
})
void run(args).then(exitCode => {
  // What the output could not take may have been reported before the command was done.
  process.exitCode ||= exitCode
})
