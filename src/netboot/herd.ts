import { isIP, BlockList } from 'node:net'
import type { MachineStatus } from '../control/index.ts'

/** Machines that a script names before the seed. */
const peersMax = 2

/**
 * Where a machine at that address may load a file from other machines: at most two of those that are
 * up and have it, in its own network before others, and not always the same ones. What machines say of
 * themselves goes into scripts, so only plain addresses count.
 */
export function peersWith(
  fileName: string,
  machines: readonly MachineStatus[],
  address: string,
  turn: number
): string[] {
  const urls = machines
    .filter(({ state, bootFiles }) => state !== 'gone' && bootFiles?.includes(fileName) === true)
    .flatMap(({ bootUrls = [] }) => bootUrls.find(url => isNear(url, address)) ?? bootUrls[0] ?? [])
    .filter(url => hostOf(url) !== undefined && hostOf(url) !== address)
  const near = urls.filter(url => isNear(url, address))
  const far = urls.filter(url => !isNear(url, address))
  return [...rotated(near, turn), ...rotated(far, turn)].slice(0, peersMax)
}

/** The host of `http://HOST:PORT`, HOST a number; undefined for anything else. */
export function hostOf(url: string): string | undefined {
  const match = /^http:\/\/(?:\[([0-9a-f:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(url)
  const host = match?.[1] ?? match?.[2]
  return host !== undefined && isIP(host) !== 0 && Number(match?.[3]) <= 65_535 ? host : undefined
}

/** In one network of the usual size: 256 addresses, or an IPv6 network. */
function isNear(url: string, address: string): boolean {
  const host = hostOf(url)
  if (host === undefined || isIP(host) !== isIP(address) || isIP(host) === 0) return false
  const isV4 = isIP(host) === 4
  const network = new BlockList()
  network.addSubnet(host, isV4 ? 24 : 64, isV4 ? 'ipv4' : 'ipv6')
  return network.check(address, isV4 ? 'ipv4' : 'ipv6')
}

function rotated<T>(values: readonly T[], turn: number): T[] {
  const at = values.length === 0 ? 0 : turn % values.length
  return [...values.slice(at), ...values.slice(0, at)]
}
