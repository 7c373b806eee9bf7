import { isIPv4 } from 'node:net'
import { outsideAddresses } from '../base/index.ts'

/** A network that this host is in, and its own address there. */
interface Network {
  readonly address: string
  readonly start: string
}

/**
 * What makes dnsmasq send machines to this server, as lines of its configuration: beside the DHCP server
 * that is there (proxy), and for UEFI's own HTTP boot, where dnsmasq is the DHCP server. Addresses are
 * examples where the host is not known by an IPv4 address of its own.
 */
export function dnsmasqSnippets(server: string): string {
  const { start } = networkOf(URL.parse(server)?.hostname ?? '')
  return `# 1. Beside a DHCP server that stays as it is: PXE loads iPXE by TFTP, iPXE goes on by HTTP.
# Put undionly.kpxe and ipxe.efi (Debian: package ipxe) into tftp-root.
port=0
dhcp-range=${start},proxy
enable-tftp
tftp-root=/srv/tftp
dhcp-userclass=set:ipxe,iPXE
pxe-service=tag:!ipxe,x86PC,"bootswarm",undionly.kpxe
pxe-service=tag:!ipxe,X86-64_EFI,"bootswarm",ipxe.efi
pxe-service=tag:!ipxe,BC_EFI,"bootswarm",ipxe.efi
pxe-service=tag:ipxe,x86PC,"bootswarm",${server}/boot.ipxe
pxe-service=tag:ipxe,X86-64_EFI,"bootswarm",${server}/boot.ipxe
pxe-service=tag:ipxe,BC_EFI,"bootswarm",${server}/boot.ipxe

# 2. Where dnsmasq is the DHCP server. Instead of the lines above; with HTTP boot of UEFI
# (netboot serve --ipxe DIR serves ipxe.efi).
#port=0
#dhcp-range=${start.replace(/\.0$/, '.100')},${start.replace(/\.0$/, '.200')},1h
#enable-tftp
#tftp-root=/srv/tftp
#dhcp-userclass=set:ipxe,iPXE
#dhcp-match=set:bios,option:client-arch,0
#dhcp-match=set:efi,option:client-arch,7
#dhcp-match=set:efi,option:client-arch,9
#dhcp-match=set:http,option:client-arch,16
#dhcp-option-force=tag:http,option:vendor-class,HTTPClient
#dhcp-boot=tag:ipxe,${server}/boot.ipxe
#dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe
#dhcp-boot=tag:!ipxe,tag:efi,ipxe.efi
#dhcp-boot=tag:!ipxe,tag:http,${server}/ipxe.efi
`
}

/** The host's own IPv4 addresses that machines elsewhere can reach, each with its network. */
export function ownNetworks(): Network[] {
  return outsideAddresses()
    .filter(({ family }) => family === 'IPv4')
    .map(({ address, netmask }) => ({ address, start: masked(address, netmask) }))
}

function networkOf(host: string): Network {
  const example = { address: '192.0.2.1', start: '192.0.2.0' }
  const own = ownNetworks().find(({ address }) => address === host)
  if (own !== undefined) return own
  return isIPv4(host) ? { address: host, start: masked(host, '255.255.255.0') } : example
}

function masked(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number)
  return address
    .split('.')
    .map((part, at) => Number(part) & (mask[at] ?? 0))
    .join('.')
}
