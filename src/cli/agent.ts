import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { Agent } from '../agent/index.ts'
import {
  BootswarmError,
  limits,
  machineIdOf,
  ProcessorLoad,
  secondsUp,
  systemClock
} from '../base/index.ts'
import { nbdDeviceIndex, type NbdTls } from '../nbd/index.ts'
import { createLogger, type AgentEvent } from '../observe/index.ts'
import { isCertifiable } from '../swarm/index.ts'
import { compileLater } from './compiling.ts'
import { carriesRootHelp, staysUntilPowerOff } from './carrying.ts'
import { choiceOf } from './choices.ts'
import { checkedLocation } from './location.ts'
import {
  addNbdOptions,
  addReadTimeout,
  nbdTlsOf,
  readTimeoutMsOf,
  type NbdCommand
} from './nbd-options.ts'
import { printEvent } from './output.ts'
import { bootCacheOf } from './netboot-cache.ts'
import { diskRateOf, rateUnits, readRates, type RateOptions } from './rates.ts'
import { shareMsOf } from './share.ts'
import { stopSignal, untilStopped } from './stop-signal.ts'
import { addTuning, readTuning, type TuningOptions } from './tuning.ts'

type Received = Extract<AgentEvent, { event: 'progress' }>

interface AgentCommand extends TuningOptions, NbdCommand, RateOptions {
  readonly ticket: string
  readonly image: string
  readonly disk: string
  readonly nbd: string
  readonly device?: string
  readonly name?: string
  readonly until: string
  readonly share?: string
  readonly metadata?: string
  readonly machine?: readonly string[]
  readonly listen?: readonly string[]
  readonly location?: string
  readonly writes: string
  readonly backgroundRate?: string
  readonly backgroundFloor?: string
  readonly startAt?: string
  readonly profileAfter?: string
  readonly redeploy?: boolean
  readonly scan?: boolean
  readonly force?: boolean
  readonly control?: string
  readonly netbootCache?: string
  readonly netbootHttp: string
  readonly netbootFrom?: string
  readonly carriesRoot?: boolean
  readonly json?: boolean
}

export function register(program: Command): void {
  const command = program
    .command('agent')
    .description('Show an image as a block device at once, and stream it onto a local disk')
    .requiredOption('--ticket <ticket>', "what 'bootswarm ticket' printed")
    .requiredOption('--image <name[:tag]|cid>', 'which image')
    .requiredOption('--disk <path>', 'the target disk: a block device, or a file, made if absent')
    .requiredOption(
      '--nbd <address>',
      'where to serve it, and beside it the image, read-only, as NAME:TAG: unix:PATH or HOST:PORT'
    )
    .option('--device </dev/nbdN>', 'and make it this device, which waits while no agent is there')
    .option('--name <name>', 'what this machine is called (default: host name and peer id)')
    .option('--machine <id...>', 'its hardware addresses or SMBIOS UUID (default: its own)')
    .option('--until <stopped|complete>', 'when to end', 'stopped')
    .option(
      '--share <until-stopped|minutes|never>',
      'for how long a complete machine serves its peers (default: until it ends)'
    )
    .option('--upload-rate <bytes>', `bytes a second to peers at the most (${rateUnits})`)
    .option('--download-rate <bytes>', 'bytes a second from seeds and peers at the most')
    .option('--metadata <path>', 'where the disk metadata goes (default: PATH.bootswarm)')
    .option('--listen <multiaddr...>', 'where peers reach this machine (default: any free port)')
    .option('--location <room/rack>', 'where it is: peers of the same rack are asked first')
    .option('--writes <keep|discard>', 'what becomes of what the machine writes', 'keep')
    .option('--redeploy', 'switch the disk to what the image name means now')
    .option('--scan', 'with --redeploy or --force: read the disk, and use again what the image has')
    .option('--force', 'take the disk whatever it holds')
    .option('--control <unix:path>', 'where the machine asks for its disk (docs/hand-over.md)')
    .option('--carries-root', carriesRootHelp)
    .option(
      '--background-rate <bytes>',
      'bytes a second that the stream may use of the disk, written in the same way (default: as many as the machine leaves)'
    )
    .option(
      '--background-floor <bytes>',
      'bytes a second that it may use however busy the machine is (default: 1M)'
    )
    .option(
      '--netboot-cache <dir>',
      'serve other machines what they boot, from here (docs/netboot.md)'
    )
    .option('--netboot-http <[host:]port>', 'with that: where', String(limits.netbootAgentPort))
    .option('--netboot-from <url,...>', 'with that: where to load what is missing, when complete')
    .option(
      '--profile-after <seconds|never>',
      'a boot is over, and the seed learns of it, when so long nothing new was read (default: 60)'
    )
    .option('--start-at <epoch-ms>', 'load everything, and dial nobody before then; for benches')
    .option('--json', 'print one JSON object a line')
    .action(run)
  addNbdOptions(command)
  addReadTimeout(command)
  addTuning(command)
}

async function run(options: AgentCommand): Promise<void> {
  if (options.carriesRoot === true) staysUntilPowerOff('agent')
  const compile = options.carriesRoot === true ? compileLater(limits.bootMsUsual) : () => {}
  const isUntilComplete = choiceOf('--until', options.until, ['stopped', 'complete']) === 'complete'
  const writes = choiceOf('--writes', options.writes, ['keep', 'discard'])
  if (options.scan === true && options.redeploy !== true && options.force !== true) {
    throw new BootswarmError('ERR_USAGE', '--scan goes with --redeploy or --force')
  }
  if (options.name !== undefined) checkMachineName(options.name)
  const nbdTls = await nbdTlsOf(options)
  if (options.device !== undefined) checkDevice(options.device, nbdTls)
  const shareMs = options.share === undefined ? undefined : shareMsOf(options.share)
  const released = untilEpoch(options.startAt)
  // A machine that boots by this waits for what is loaded here.
  const say = options.json === true ? printEvent : (await import('./agent-words.ts')).sayToPeople()
  const agent = new Agent({
    ...options,
    location: checkedLocation(options.location),
    writes,
    machineIds: options.machine?.map(id => machineIdOf('--machine', id)),
    ...readRates(options),
    shareMs,
    bootCache: bootCacheOf(options),
    backgroundRate: diskRateOf('--background-rate', options.backgroundRate),
    backgroundFloor: diskRateOf('--background-floor', options.backgroundFloor),
    // A machine boots while the rest of its disk streams; other hosts may have many agents.
    processor: options.carriesRoot === true ? new ProcessorLoad(systemClock) : undefined,
    released,
    profileAfterMs: profileAfterMsOf(options.profileAfter),
    nbdTls,
    readTimeoutMs: readTimeoutMsOf(options),
    tuning: readTuning(options),
    logger: createLogger({ name: 'agent' }),
    onEvent: event => {
      if (event.event === 'progress' && hasMuch(event)) compile()
      say(event)
    }
  })
  let isComplete = false
  void agent.completed.promise.then(() => (isComplete = true))
  try {
    const stopped = untilStopped()
    const started = agent.start()
    started.catch(() => {})
    await Promise.race([started, stopped])
    // Whoever says for how long to share wants the machine to stay that long.
    const completed = agent.completed.promise.then(() => agent.nameSaid())
    const shared = shareMs === undefined ? completed : agent.shared.promise
    const ends = isUntilComplete ? [shared] : []
    await Promise.race([stopped, agent.failed.promise, ...ends])
  } finally {
    await agent.stop()
  }
  say({ event: 'stopped', seconds: secondsUp() })
  if (isUntilComplete && !isComplete) {
    throw new BootswarmError(
      'ERR_STOPPED',
      `the agent was told to stop before ${options.disk} was complete; run it again to go on`
    )
  }
}

/** What was received is more than a boot reads. */
function hasMuch({ bytesFromSeed, bytesFromPeers }: Received): boolean {
  return bytesFromSeed + bytesFromPeers >= limits.bootBytesUsual
}

/** A seed signs no other name; here the option can be named. */
function checkMachineName(name: string): void {
  if (isCertifiable({ name, role: 'agent', peerId: '' })) return
  throw new BootswarmError('ERR_USAGE', '--name is empty, longer than 128 characters, or not text')
}

/** Before anybody is asked for anything. */
function checkDevice(device: string, nbdTls: NbdTls | undefined): void {
  nbdDeviceIndex(device)
  if (nbdTls === undefined) return
  throw new BootswarmError('ERR_USAGE', '--device: the kernel speaks no TLS; leave --tls-… out')
}

function profileAfterMsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (text === 'never') return Infinity
  const seconds = Number(text)
  if (text !== '' && seconds > 0 && seconds <= 86_400) return seconds * 1_000
  throw new BootswarmError(
    'ERR_USAGE',
    `--profile-after ${text} is neither 'never' nor a number of seconds up to 86400`
  )
}

function untilEpoch(text: string | undefined): Promise<void> {
  if (text === undefined) return Promise.resolve()
  const epochMs = Number(text)
  if (!Number.isSafeInteger(epochMs) || epochMs < 0) {
    throw new BootswarmError('ERR_USAGE', `--start-at ${text} is not milliseconds since 1970`)
  }
  const waiting = sleep(Math.max(0, epochMs - Date.now()), undefined, { signal: stopSignal() })
  return waiting.catch(() => {
    // Told to stop while waiting; what follows sees it.
  })
}
