import { BootswarmError, limits } from '../base/index.ts'

const factors = { '': 1, k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30 } as const

/** What --help says of every rate: as networks and disks are measured, unlike sizes (formats.ts). */
export const rateUnits = '20M and 20MB are 20,000,000, 20MiB is 20,971,520'

/** `500kB`, `20MB`, `1GB` or `20MiB` a second; ERR_USAGE naming the option. */
export function rateOf(
  option: string,
  text: string,
  least: number = limits.rateBytesPerSecondMin
): number {
  const match = /^([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([kmg]?i?)B?$/i.exec(text)
  const unit = (match?.[2] ?? '').toLowerCase()
  const factor = Object.hasOwn(factors, unit) ? factors[unit as keyof typeof factors] : Number.NaN
  const rate = Math.round(Number(match?.[1]) * factor)
  if (Number.isSafeInteger(rate) && rate >= least) return rate
  throw new BootswarmError(
    'ERR_USAGE',
    `${option} ${text} is no rate; write bytes a second, at least ${least}, such as 500kB, 20MB or 1GB`
  )
}

export interface RateOptions {
  readonly uploadRate?: string
  readonly downloadRate?: string
}

/** A rate of the disk's, which may be as low as anything but 0; undefined where it is not set. */
export function diskRateOf(option: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : rateOf(option, text, 1)
}

/** What is not set is not limited. */
export function readRates({ uploadRate, downloadRate }: RateOptions): {
  uploadRate: number | undefined
  downloadRate: number | undefined
} {
  return {
    uploadRate: uploadRate === undefined ? undefined : rateOf('--upload-rate', uploadRate),
    downloadRate: downloadRate === undefined ? undefined : rateOf('--download-rate', downloadRate)
  }
}
