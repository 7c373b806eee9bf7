import type { Command } from 'commander'
import { secondsUp } from '../base/index.ts'
import { deadConnectionSecondsDefault, KernelNbd, parseNbdAddress } from '../nbd/index.ts'
import { carriesRootHelp, staysUntilPowerOff } from './carrying.ts'
import { wholeNumberOf } from './choices.ts'
import { sayOfDevice } from './device-news.ts'
import { printEvent, printNote } from './output.ts'
import type { AttachEvent } from '../observe/index.ts'
import { untilStopped } from './stop-signal.ts'

interface AttachCommand {
  readonly nbd: string
  readonly device: string
  readonly export: string
  readonly waitFor: string
  readonly carriesRoot?: boolean
  readonly json?: boolean
}

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
      String(deadConnectionSecondsDefault)
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
  if (event.event === 'error' || event.event === 'stopped') return
  sayOfDevice(event)
  if (event.event === 'attached') printNote('detach it with Ctrl-C')
}
