import type { Command } from 'commander'
import { secondsUp } from '../base/index.ts'
import { KernelNbd, parseNbdAddress } from '../nbd/index.ts'
import { carriesRootHelp, staysUntilPowerOff } from './carrying.ts'
import { wholeNumberOf } from './choices.ts'
import { formatBytes } from './formats.ts'
import { printEvent, printLine, printNote } from './output.ts'
import { untilStopped } from './stop-signal.ts'
import type { AttachEvent } from '../observe/index.ts'

interface AttachCommand {
  readonly nbd: string
  readonly device: string
  readonly export: string
  readonly waitFor: string
  readonly carriesRoot?: boolean
  readonly json?: boolean
}

/** A month: who waits longer has been forgotten. */
const waitSecondsDefault = 30 * 24 * 3600
const waitSecondsMax = 10 * 365 * 24 * 3600

export function register(program: Command): void {
  program
    .command('attach')
    .description(
      "Make an agent's disk a device of this Linux, which an agent's restart only pauses"
    )
    .requiredOption('--nbd <address>', 'where the agent serves it: unix:PATH or HOST:PORT')
    .option('--device <path>', 'the device', '/dev/nbd0')
    .option('--export <name>', 'the export; the default one if there is none', '')
    .option(
      '--wait-for <seconds>',
      'for how long its requests wait for an agent that is gone',
      String(waitSecondsDefault)
    )
    .option('--carries-root', carriesRootHelp)
    .option('--json', 'print one JSON object a line')
    .action(run)
}

async function run(options: AttachCommand): Promise<void> {
  if (options.carriesRoot === true) staysUntilPowerOff('attach')
  const say = options.json === true ? printEvent : sayToPeople
  const { device, nbd } = options
  const kernel = new KernelNbd({
    address: parseNbdAddress(nbd),
    device,
    exportName: options.export,
    deadConnectionSeconds: wholeNumberOf('--wait-for', options.waitFor, 1, waitSecondsMax),
    onLost: () => say({ event: 'lost', seconds: secondsUp() }),
    onReconnected: () => say({ event: 'reconnected', seconds: secondsUp() })
  })
  // A device that loses its helper waits for the next; one that is detached fails what is mounted on it.
  const stopped = untilStopped({ onHangup: false })
  await kernel.attach()
  say({ event: 'attached', device, size: kernel.size, nbd })
  await stopped
  await kernel.detach()
  say({ event: 'stopped', seconds: secondsUp() })
}

function sayToPeople(event: AttachEvent): void {
  if (event.event === 'attached') {
    printLine(`${event.device} has ${formatBytes(event.size)} of ${event.nbd}; detach with Ctrl-C`)
  }
  if (event.event === 'lost') printNote('the agent is gone; the device waits for it')
  if (event.event === 'reconnected') printNote('the agent is back, and the device goes on')
}
