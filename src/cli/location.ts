import { BootswarmError } from '../base/index.ts'
import { isLocation } from '../swarm/index.ts'

/** Where seeds were looked for, for people. */
function seedsText(addresses: readonly string[]): string {
  return addresses.length > 0 ? `at ${addresses.join(' or ')}` : 'on this network'
}

/** That no seed answers, why, and what to look at, for people. */
export function unreachableText(addresses: readonly string[], why: string): string {
  return `no seed answers ${seedsText(addresses)} (${why}); is "bootswarm seed" running there? Still trying`
}

/** What `--location` means; ERR_USAGE. */
export function checkedLocation(text: string | undefined): string | undefined {
  if (text === undefined || isLocation(text)) return text
  throw new BootswarmError(
    'ERR_USAGE',
    `--location ${text} is not a place such as room-2 or room-2/rack-7 (letters, digits, . - _ and /)`
  )
}
