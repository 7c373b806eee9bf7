import { limits } from '../base/index.ts'
import { wholeNumberOf } from './choices.ts'
import { readRates } from './rates.ts'
import { defaultListen } from '../seed/index.ts'
import type { SeedCommand } from './seed.ts'

/** ERR_USAGE for what is no number of processes. */
export function processCountOf(text: string): number {
  return wholeNumberOf('--processes', text, 1, limits.seedProcessesMax)
}

/** What each of `count` processes may send a second. */
export function shareOf(uploadRate: number, count: number): number {
  return Math.max(limits.rateBytesPerSecondMin, Math.floor(uploadRate / count))
}

/** What starts the processes of a seed beside the first, each with a port of its own. */
export function furtherCommands(count: number, options: SeedCommand): string[][] | undefined {
  if (count === 1) return undefined
  const { store, listen = defaultListen, as, location, without, fallbackMs } = options
  const { uploadRate } = readRates(options)
  const share = uploadRate === undefined ? undefined : String(shareOf(uploadRate, count))
  const program = process.argv[1] ?? ''
  const shared = [
    ...[process.execPath, ...process.execArgv, program, 'seed', '--further', '--json', '--no-mdns'],
    ...['--store', store, ...given('--location', location), ...given('--upload-rate', share)],
    ...[...given('--without', without), ...given('--fallback-ms', fallbackMs)]
  ]
  return Array.from({ length: count - 1 }, (_, n) => [
    ...[...shared, '--as', `${as === undefined ? '' : `${as}-`}process-${n + 2}`],
    ...['--listen', ...listen.map(address => besides(address, n + 1))]
  ])
}

function given(option: string, value: string | undefined): string[] {
  return value === undefined ? [] : [option, value]
}

/** The ports between are other listeners' of a seed; any free one stays any free one. */
function besides(address: string, step: number): string {
  return address.replace(/\/tcp\/([1-9]\d*)/, (_, port: string) => {
    return `/tcp/${Number(port) + step * limits.seedProcessPortStep}`
  })
}
