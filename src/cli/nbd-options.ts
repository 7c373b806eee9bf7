import type { Command } from 'commander'
import { BootswarmError } from '../base/index.ts'
import { loadNbdTls, type NbdTls } from '../nbd/index.ts'

/** How an NBD address is protected, as commander has read it. */
export interface NbdCommand {
  readonly insecure?: boolean
  readonly tlsCertificates?: string
  readonly tlsVerifyPeer?: boolean
  readonly tlsPsk?: string
  readonly readTimeout?: string
}

export function addNbdOptions(command: Command): void {
  command
    .option(
      '--tls-certificates <dir>',
      'NBD clients must use TLS: ca-cert, server-cert, server-key'
    )
    .option('--tls-verify-peer', 'with that: and show a certificate of the same authority')
    .option('--tls-psk <file>', 'NBD clients must use TLS with a key of this file')
    .option('--insecure', 'allow an --nbd address that other machines can reach, without TLS')
}

export function addReadTimeout(command: Command): void {
  command.option(
    '--read-timeout <seconds>',
    'answer a read with an I/O error that nobody could deliver for so long (default: it waits)'
  )
}

/** Undefined where nothing asks for TLS. Throws as loadNbdTls. */
export async function nbdTlsOf(options: NbdCommand): Promise<NbdTls | undefined> {
  const { tlsCertificates: certificates, tlsPsk: psk, tlsVerifyPeer: verifyPeer } = options
  if (certificates === undefined && psk === undefined && verifyPeer !== true) return undefined
  return loadNbdTls({ certificates, psk, verifyPeer })
}

const readTimeoutSecondsMax = 1_000_000

/** ERR_USAGE for what is no time. */
export function readTimeoutMsOf({ readTimeout }: NbdCommand): number | undefined {
  if (readTimeout === undefined) return undefined
  const seconds = Number(readTimeout)
  if (seconds > 0 && seconds <= readTimeoutSecondsMax) return seconds * 1000
  throw new BootswarmError('ERR_USAGE', `--read-timeout ${readTimeout} is not a number of seconds`)
}
