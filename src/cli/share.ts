import { BootswarmError } from '../base/index.ts'

const minutesMax = 365 * 24 * 60

/**
 * For how long a complete machine goes on serving its peers, in ms: `until-stopped` is Infinity,
 * `never` 0, else minutes. ERR_USAGE.
 */
export function shareMsOf(text: string): number {
  if (text === 'until-stopped') return Infinity
  if (text === 'never') return 0
  const minutes = /^\d{1,6}$/.test(text) ? Number(text) : NaN
  if (minutes > 0 && minutes <= minutesMax) return minutes * 60_000
  throw new BootswarmError(
    'ERR_USAGE',
    `--share ${text} is neither 'until-stopped' nor 'never' nor a number of minutes`
  )
}
