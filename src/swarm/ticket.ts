import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { multiaddr } from '@multiformats/multiaddr'
import { base64url } from 'multiformats/bases/base64'
import { BootswarmError, parseMachineId } from '../base/index.ts'

/** One string that lets a machine join a lab: `bootswarm<version>-<base64url of dag-cbor + check>`. */
export interface Ticket {
  /** The lab's Ed25519 public key, 32 bytes: what a machine trusts. */
  readonly labKey: Uint8Array
  /** Multiaddrs of the seeds, each with its /p2p/ peer id; none when machines are to look for them. */
  readonly seeds: readonly string[]
  /** Time of day in ms after which seeds refuse the ticket. Only seeds judge it. */
  readonly expiresMs: number
  /** 32 bytes that prove to a seed that it (or a brother) gave this ticket out. */
  readonly secret: Uint8Array
  /** Absent where any number of machines may use it. */
  readonly bound?: Binding
}

/** What makes a ticket one machine's, for one time: such a ticket may stand where others can read it. */
export interface Binding {
  /** A hardware address or SMBIOS UUID, as parseMachineId writes it. */
  readonly machine: string
  /** 16 random bytes: two tickets of the same machine and time are two. */
  readonly nonce: Uint8Array
}

const formatVersion = 1
const checkBytes = 4
const textLengthMax = 8192
const seedsMax = 32
const nonceBytes = 16

export function encodeTicket(ticket: Ticket): string {
  const payload = encodeCbor({
    lab: ticket.labKey,
    seeds: [...ticket.seeds],
    expires: ticket.expiresMs,
    secret: ticket.secret,
    ...(ticket.bound && { machine: ticket.bound.machine, nonce: ticket.bound.nonce })
  })
  const bytes = Buffer.concat([payload, checkOf(payload)])
  return `bootswarm${formatVersion}-${base64url.baseEncode(bytes)}`
}

/** Throws ERR_TICKET_INVALID (not a ticket, or damaged in copying) or ERR_FORMAT_VERSION. */
export function decodeTicket(text: string): Ticket {
  const match = /^bootswarm(\d{1,6})-([A-Za-z0-9_-]+)$/.exec(text.trim())
  if (match === null || text.length > textLengthMax) {
    throw invalid('it does not look like bootswarm1-…')
  }
  const [, version, body = ''] = match
  if (Number(version) !== formatVersion) {
    const older = Number(version) < formatVersion ? 'the seed' : 'this bootswarm'
    throw new BootswarmError(
      'ERR_FORMAT_VERSION',
      `the ticket has format ${version}, this bootswarm reads ${formatVersion}: upgrade ${older}`
    )
  }
  const bytes = decodeBody(body)
  const payload = bytes.subarray(0, -checkBytes)
  if (!checkOf(payload).equals(bytes.subarray(-checkBytes))) {
    throw invalid('its check does not match, some characters were lost or changed')
  }
  return validate(payload)
}

/**
 * The secret of a ticket that expires then, made from the store's enrolment secret, so that a seed
 * knows its tickets again without keeping them.
 */
export function ticketSecret(
  enrolSecret: Uint8Array,
  expiresMs: number,
  bound?: Binding
): Uint8Array {
  const whose = bound && ` ${bound.machine} ${Buffer.from(bound.nonce).toString('hex')}`
  return createHmac('sha256', enrolSecret)
    .update(`bootswarm ticket v1 ${expiresMs}${whose ?? ''}`)
    .digest()
}

export function newBinding(machine: string): Binding {
  return { machine, nonce: randomBytes(nonceBytes) }
}

/** Of a ticket or an enrolment: undefined where there is none, and null where there is a bad one. */
export function bindingOf(fields: Record<string, unknown>): Binding | undefined | null {
  const { machine, nonce } = fields
  if (machine === undefined && nonce === undefined) return undefined
  if (typeof machine !== 'string' || parseMachineId(machine) !== machine) return null
  if (!(nonce instanceof Uint8Array) || nonce.length !== nonceBytes) return null
  return { machine, nonce }
}

export function isTicketSecret(
  enrolSecret: Uint8Array,
  expiresMs: number,
  secret: Uint8Array,
  bound?: Binding
): boolean {
  const expected = ticketSecret(enrolSecret, expiresMs, bound)
  return secret.length === expected.length && timingSafeEqual(expected, secret)
}

function decodeBody(body: string): Buffer {
  try {
    return Buffer.from(base64url.baseDecode(body))
  } catch (cause) {
    throw invalid('it is not base64url', cause)
  }
}

function validate(payload: Uint8Array): Ticket {
  const fields = decodeFields(payload)
  const { lab, seeds, expires, secret } = fields
  if (!(lab instanceof Uint8Array) || lab.length !== 32) throw invalid('it has no lab key')
  if (!(secret instanceof Uint8Array) || secret.length !== 32) throw invalid('it has no secret')
  if (typeof expires !== 'number' || !Number.isSafeInteger(expires))
    throw invalid('it never expires')
  if (!Array.isArray(seeds) || seeds.length > seedsMax) {
    throw invalid('it names no seeds')
  }
  const bound = bindingOf(fields)
  if (bound === null) throw invalid('it is for a machine that cannot be')
  const ticket = { labKey: lab, seeds: seeds.map(seedAddress), expiresMs: expires, secret }
  return bound === undefined ? ticket : { ...ticket, bound }
}

function decodeFields(payload: Uint8Array): Record<string, unknown> {
  try {
    const fields: unknown = decodeCbor(payload)
    if (typeof fields === 'object' && fields !== null) return fields as Record<string, unknown>
  } catch (cause) {
    throw invalid('its contents are malformed', cause)
  }
  throw invalid('its contents are malformed')
}

function seedAddress(value: unknown): string {
  if (typeof value !== 'string') throw invalid('a seed address is not text')
  try {
    if (
      multiaddr(value)
        .getComponents()
        .some(part => part.name === 'p2p')
    )
      return value
  } catch (cause) {
    throw invalid(`its seed address ${value} is malformed`, cause)
  }
  throw invalid(`its seed address ${value} has no peer id`)
}

function checkOf(payload: Uint8Array): Buffer {
  return hash('sha256', payload, 'buffer').subarray(0, checkBytes)
}

function invalid(why: string, cause?: unknown): BootswarmError {
  return new BootswarmError(
    'ERR_TICKET_INVALID',
    `the ticket cannot be used: ${why}; get a new one with: bootswarm ticket --store DIR`,
    { cause }
  )
}
