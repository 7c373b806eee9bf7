import type { Command } from 'commander'
import { secondsUp } from '../base/index.ts'
import { Exporter } from '../agent/index.ts'
import { createLogger, type AgentEvent } from '../observe/index.ts'
import { formatBytes } from './formats.ts'
import {
  addNbdOptions,
  addReadTimeout,
  nbdTlsOf,
  readTimeoutMsOf,
  type NbdCommand
} from './nbd-options.ts'
import { unreachableText } from './location.ts'
import { printEvent, printLine, printNote } from './output.ts'
import { untilStopped } from './stop-signal.ts'

interface ExportCommand extends NbdCommand {
  readonly ticket: string
  readonly nbd: string
  readonly name?: string
  readonly listen?: readonly string[]
  readonly json?: boolean
}

export function register(program: Command): void {
  const command = program
    .command('export')
    .description('Show an image as a read-only block device straight from the lab, without a disk')
    .argument('<name[:tag]|cid>', 'which image')
    .requiredOption('--ticket <ticket>', "what 'bootswarm ticket' printed")
    .requiredOption('--nbd <address>', 'where to serve it: unix:PATH or HOST:PORT')
    .option('--name <name>', 'what the lab calls this machine (default: export and peer id)')
    .option('--listen <multiaddr...>', 'where peers reach this machine (default: any free port)')
  addNbdOptions(command)
  addReadTimeout(command)
  command.option('--json', 'print one JSON object a line').action(run)
}

async function run(image: string, options: ExportCommand): Promise<void> {
  const say = options.json === true ? printEvent : sayToPeople
  const exporter = new Exporter({
    ...options,
    image,
    nbdTls: await nbdTlsOf(options),
    readTimeoutMs: readTimeoutMsOf(options),
    logger: createLogger({ name: 'export' }),
    onEvent: say
  })
  try {
    const stopped = untilStopped()
    const started = exporter.start()
    started.catch(() => {})
    await Promise.race([started, stopped])
    await Promise.race([stopped, exporter.failed.promise])
  } finally {
    await exporter.stop()
  }
  say({ event: 'stopped', seconds: secondsUp() })
}

function sayToPeople(event: AgentEvent): void {
  if (event.event === 'unreachable') {
    printNote(unreachableText(event.addresses, event.why))
  }
  if (event.event !== 'ready') return
  printLine(`${formatBytes(event.size)} ready at ${event.nbd}, read-only; stop it with Ctrl-C`)
}
