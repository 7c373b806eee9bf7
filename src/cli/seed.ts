import { Option, type Command } from 'commander'
import { limits, secondsUp } from '../base/index.ts'
import { createLogger, type SeedEvent } from '../observe/index.ts'
import { Seed } from '../seed/index.ts'
import { parseHostPort } from './host-port.ts'
import { checkedLocation } from './location.ts'
import { addNbdOptions, nbdTlsOf, type NbdCommand } from './nbd-options.ts'
import { printEvent, printLine } from './output.ts'
import { furtherCommands, processCountOf, shareOf } from './processes.ts'
import { rateUnits, readRates } from './rates.ts'
import { requestStop, untilStopped } from './stop-signal.ts'
import { storeOption } from './store-option.ts'
import { addTuning, readTuning, type TuningOptions } from './tuning.ts'

export interface SeedCommand extends TuningOptions, NbdCommand {
  readonly uploadRate?: string
  readonly nbd?: string
  readonly store: string
  readonly listen?: readonly string[]
  readonly http: string
  readonly as?: string
  readonly processes: string
  /** A further process of another seed. */
  readonly further?: boolean
  readonly location?: string
  readonly mdns: boolean
  readonly json?: boolean
}

const httpDefault = `127.0.0.1:${limits.seedHttpPort}`

export function register(program: Command): void {
  const command = program
    .command('seed')
    .description('Serve the images of a store to a lab')
    .addOption(storeOption('the store; made if it does not exist'))
    .option(
      '--listen <multiaddr...>',
      `where machines reach it (default: every address, TCP port ${limits.seedPort})`
    )
    .option('--http <host:port>', 'where its status can be read', httpDefault)
    .option(
      '--location <room/rack>',
      'where it is: machines of the same rack are given chunks first'
    )
    .option('--as <name>', 'another seed of the same lab: it runs on a copy of the store')
    .option('--processes <n>', 'cores that it uses; each process has a port of its own', '1')
    .addOption(new Option('--further').hideHelp())
    .option('--no-mdns', 'do not answer machines that look for a seed on the network')
    .option('--upload-rate <bytes>', `bytes a second to machines at the most (${rateUnits})`)
    .option('--nbd <address>', 'show every image, read-only, as NAME:TAG: unix:PATH or HOST:PORT')
    .option('--json', 'print one JSON object a line')
    .action(async (options: SeedCommand) => {
      const isFurther = options.further === true
      if (isFurther) stopWithParent()
      const processes = processCountOf(options.processes)
      const { uploadRate } = readRates(options)
      const seed = await Seed.start({
        storeDir: options.store,
        listen: options.listen,
        http: isFurther ? undefined : parseHostPort('--http', options.http),
        as: options.as,
        further: furtherCommands(processes, options),
        location: checkedLocation(options.location),
        mdns: options.mdns,
        uploadRate: uploadRate === undefined ? undefined : shareOf(uploadRate, processes),
        nbd: options.nbd,
        insecure: options.insecure,
        nbdTls: await nbdTlsOf(options),
        tuning: readTuning(options),
        logger: createLogger({ name: 'seed' })
      })
      const emit = options.json === true ? printEvent : sayToPeople
      emit({ event: 'ready', addresses: seed.addresses, http: seed.url, nbd: seed.nbd })
      const served = servedNames(seed)
      const progress = setInterval(() => {
        reportProgress(seed, emit)
        reportImports(seed, served, emit)
      }, 1_000)
      await untilStopped()
      clearInterval(progress)
      await seed.stop()
      emit({ event: 'stopped', seconds: secondsUp() })
    })
  addNbdOptions(command)
  addTuning(command)
}

/** However the first process ends, the channel to it does. */
function stopWithParent(): void {
  process.once('disconnect', requestStop)
  process.channel?.unref()
}

let lastSent = 0

function reportProgress(seed: Seed, emit: (event: SeedEvent) => void): void {
  const { bytesSent } = seed
  if (bytesSent === lastSent) return
  lastSent = bytesSent
  const { machines } = seed.status()
  const agents = machines.filter(machine => machine.state !== 'gone').length
  emit({ event: 'progress', seconds: secondsUp(), bytesSent, agents })
}

/** The image of each NAME:TAG. */
function servedNames(seed: Seed): Map<string, string> {
  return new Map(seed.namedImages().map(({ name, tag, cid }) => [`${name}:${tag}`, cid]))
}

/** Imports are processes of their own: what they have done is seen in the store. */
function reportImports(
  seed: Seed,
  served: Map<string, string>,
  emit: (event: SeedEvent) => void
): void {
  for (const [name, image] of servedNames(seed)) {
    if (served.get(name) === image) continue
    served.set(name, image)
    emit({ event: 'imported', image, name })
  }
}

function sayToPeople(event: SeedEvent): void {
  if (event.event === 'imported') printLine(`${event.name} is served from now on`)
  if (event.event !== 'ready') return
  printLine('the seed is ready; machines reach it at')
  for (const address of event.addresses) printLine(`  ${address}`)
  if (event.nbd !== undefined) printLine(`its images can be opened by NBD at ${event.nbd}`)
  printLine(`its status is at ${event.http ?? '-'}; stop it with Ctrl-C`)
}
