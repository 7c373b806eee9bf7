import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'

/** The addresses of this host now but for loopback, which nobody else can use. */
export function outsideAddresses(): NetworkInterfaceInfo[] {
  return Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ internal }) => !internal)
}
