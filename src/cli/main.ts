import { readFile } from 'node:fs/promises'
import { Command, CommanderError } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { reportError, wantsJson, watchOutput } from './output.ts'

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
  try {
    const program = await buildProgram(args)
    await program.parseAsync(args, { from: 'user' })
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
void run(args).then(exitCode => {
  // What the output could not take may have been reported before the command was done.
  process.exitCode ||= exitCode
})
