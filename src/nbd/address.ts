import { BlockList, isIP } from 'node:net'
import { resolve } from 'node:path'
import { BootswarmError } from '../base/index.ts'

export type NbdAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** `host` is a name or an address, without the brackets of IPv6; port 0 means "any free one". */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** sockaddr_un has room for 108 bytes, the last of them zero. */
const socketPathBytesMax = 107

/**
 * Reads `unix:PATH` (a relative path is taken from the working directory) or `HOST:PORT`, with
 * brackets around an IPv6 address. Throws ERR_ADDRESS_INVALID.
 */
export function parseNbdAddress(text: string): NbdAddress {
  if (text.startsWith('unix:')) return parseSocketPath(text, text.slice('unix:'.length))
  const match = /^(?:\[(?<v6>[^[\]]+)\]|(?<name>[^:[\]/\s]+)):(?<port>\d{1,5})$/.exec(text)
  const { v6, name, port: digits } = match?.groups ?? {}
  const host = v6 ?? name
  const port = Number(digits)
  const addressed = v6 === undefined || isIP(v6) === 6
  if (host === undefined || !addressed || port > 65_535) {
    throw invalid(text, 'write unix:PATH or HOST:PORT, as in 127.0.0.1:10809')
  }
  return { kind: 'tcp', host, port }
}

function parseSocketPath(text: string, given: string): NbdAddress {
  if (given === '' || given.includes('\0')) throw invalid(text, 'write a path after unix:')
  const path = resolve(given)
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    throw invalid(text, `a socket path has at most ${socketPathBytesMax} bytes; use a shorter one`)
  }
  return { kind: 'unix', path }
}

function invalid(text: string, advice: string): BootswarmError {
  return new BootswarmError('ERR_ADDRESS_INVALID', `'${text}' is no NBD address: ${advice}`)
}

/** The form that `parseNbdAddress` reads. */
export function formatNbdAddress(address: NbdAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `${bracketed(address.host)}:${address.port}`
}

/** The form that NBD clients read (the NBD project's doc/uri.md). */
export function nbdUri(address: NbdAddress): string {
  if (address.kind === 'tcp') return `nbd://${bracketed(address.host)}:${address.port}`
  return `nbd+unix:///?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')

/** True where only this machine can connect. A name other than localhost could mean anything. */
export function isLocal(address: NbdAddress): boolean {
  if (address.kind === 'unix' || address.host === 'localhost') return true
  const version = isIP(address.host)
  if (version === 0) return false
  return loopback.check(address.host, version === 4 ? 'ipv4' : 'ipv6')
}
