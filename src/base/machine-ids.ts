import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { BootswarmError } from './errors.ts'

// What tells one machine from another before it has a disk: the hardware addresses of its network
// cards, and the UUID that its firmware tells (SMBIOS, System Information). Written in lower case, an
// address with colons.

const cardsPath = '/sys/class/net'
const uuidPath = '/sys/class/dmi/id/product_uuid'
const idsMax = 16

/** Undefined for what is neither, and for those that many machines have: all zeros, all ones. */
export function parseMachineId(text: string): string | undefined {
  const id = text.trim().toLowerCase()
  const isAddress = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/.test(id)
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
  if ((!isAddress && !isUuid) || /^[0:-]+$/.test(id) || /^[f:-]+$/.test(id)) return undefined
  return isAddress ? id.replaceAll('-', ':') : id
}

/** ERR_USAGE naming the option. */
export function machineIdOf(option: string, text: string): string {
  const id = parseMachineId(text)
  if (id !== undefined) return id
  throw new BootswarmError(
    'ERR_USAGE',
    `${option} ${text} is neither a hardware address such as 52:54:00:12:34:56 nor an SMBIOS UUID`
  )
}

/** This machine's own, as far as this user may read them. */
export function ownMachineIds(): string[] {
  const texts = [...cards().map(card => read(`${cardsPath}/${card}/address`)), read(uuidPath)]
  const ids = texts.flatMap(text => parseMachineId(text) ?? [])
  return [...new Set(ids)].slice(0, idsMax)
}

/** Bridges and the like have addresses of no card; they count where there is nothing else. */
function cards(): string[] {
  const all = existsSync(cardsPath) ? readdirSync(cardsPath) : []
  const real = all.filter(card => existsSync(`${cardsPath}/${card}/device`))
  return real.length > 0 ? real : all
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Only root may read the UUID, and a card may be pulled at any time.
    return ''
  }
}
