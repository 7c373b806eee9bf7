import { BlockList, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { limits } from '../base/index.ts'

// Where a peer is: what it says itself, or else its subnet. Peers of one place share a switch.

/** `room` or `room/rack`, of letters, digits, dots, hyphens and underscores. */
export function isLocation(text: string): boolean {
  return text.length <= limits.locationLengthMax && /^[\w.-]+(\/[\w.-]+)*$/.test(text)
}

/**
 * A name that is the same for all peers of one place, as this host sees them: the location of a peer
 * that says one; nothing for one of a subnet that this host is in itself; else the peer's subnet, of the
 * size that subnets usually have. `address` is a multiaddr.
 */
export function placeOf(location: string | undefined, address: string): string {
  if (location !== undefined) return location
  const ip = ipOf(address)
  if (ip === undefined || isOnLink(ip)) return ''
  // A space is in no location, so that no subnet is taken for one.
  return isIPv6(ip) ? `subnet ${prefixOf(ip)}::/64` : `subnet ${ip.replace(/\d+$/, '0')}/24`
}

function ipOf(address: string): string | undefined {
  return /\/ip[46]\/([^/]+)/.exec(address)?.[1]
}

function isOnLink(ip: string): boolean {
  const own = new BlockList()
  own.addSubnet('127.0.0.0', 8, 'ipv4')
  own.addSubnet('fe80::', 10, 'ipv6')
  for (const list of Object.values(networkInterfaces())) {
    for (const { address, cidr, family } of list ?? []) {
      const bits = Number(cidr?.split('/')[1])
      if (Number.isInteger(bits)) own.addSubnet(address, bits, family === 'IPv6' ? 'ipv6' : 'ipv4')
    }
  }
  return own.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')
}

/** The first four of the eight groups, without leading zeros. */
function prefixOf(ip: string): string {
  const [head = '', tail] = ip.split('::')
  const groups = (text: string): string[] => text.split(':').filter(group => group !== '')
  const first = groups(head)
  const last = tail === undefined ? [] : groups(tail)
  // An address may end in dotted decimals, which stand for two groups.
  const width = [...first, ...last].reduce((sum, group) => sum + (group.includes('.') ? 2 : 1), 0)
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - width)).fill('0')
  return [...first, ...zeros, ...last]
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}
