import { BootswarmError } from '../base/index.ts'
import { isLocation } from '../swarm/index.ts'

/** Where seeds were looked for, for people. */
export function seedsText(addresses: readonly string[]): string {
  return addresses.length > 0 ? `at ${addresses.join(' or ')}` : 'on this network'
}

/** What `--location` means; ERR_USAGE. */
export function checkedLocation(text: string | undefined): string | undefined {
  if (text === undefined || isLocation(text)) return text
  throw new BootswarmError(
    'ERR_USAGE',
    `--location ${text} is not a place such as room-2 or room-2/rack-7 (letters, digits, . - _ and /)`
  )
}
