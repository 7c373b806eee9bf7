import { readdir, readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import { BootswarmError, messageOf, systemErrorCode } from '../base/index.ts'

/** Either of the two; the files are named and laid out as nbdkit and libnbd have them. */
export interface NbdTlsOptions {
  /** A directory with ca-cert.pem, server-cert.pem, server-key.pem and perhaps ca-crl.pem. */
  readonly certificates?: string
  /** With certificates: only clients that show one of the same authority are served. */
  readonly verifyPeer?: boolean
  /** A file of `user:hexadecimal key` lines. */
  readonly psk?: string
}

/** Encrypts one client's connection; exactly one of the two is called, once. */
export type NbdTls = (
  plain: Socket,
  onSecure: (secured: TLSSocket) => void,
  onFailure: (reason: string) => void
) => void

/** Only what the protocol's own text still recommends, and key exchange that forgets. */
const minVersion = 'TLSv1.2'
const pskCiphers =
  'TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256'
const pskLineMax = 4096

/** ERR_USAGE unless it is exactly one of the two, ERR_FILE_MISSING, ERR_TLS_INVALID. */
export async function loadNbdTls(options: NbdTlsOptions): Promise<NbdTls> {
  const { certificates, psk, verifyPeer = false } = options
  if (certificates !== undefined && psk === undefined) {
    return withCertificates(certificates, verifyPeer)
  }
  if (psk !== undefined && certificates === undefined && !verifyPeer) return withKeys(psk)
  throw new BootswarmError(
    'ERR_USAGE',
    'TLS for NBD goes by --tls-certificates DIR (with --tls-verify-peer if clients must have one too) or by --tls-psk FILE'
  )
}

async function withCertificates(directory: string, verifyPeer: boolean): Promise<NbdTls> {
  const file = (name: string): Promise<Buffer> => readNamed(join(directory, name))
  // One after the other: of several that are missing the first is named.
  const ca = await file('ca-cert.pem')
  const cert = await file('server-cert.pem')
  const key = await file('server-key.pem')
  const hasRevoked = (await readdir(directory)).includes('ca-crl.pem')
  const crl = hasRevoked ? await file('ca-crl.pem') : undefined
  const peer = { requestCert: verifyPeer, rejectUnauthorized: verifyPeer }
  return encrypter(directory, { ca, cert, key, crl, minVersion, ...peer })
}

async function withKeys(path: string): Promise<NbdTls> {
  const keys = parseKeys(path, (await readNamed(path)).toString('utf8'))
  return encrypter(path, {
    ciphers: pskCiphers,
    minVersion,
    pskCallback: (_socket, user) => keys.get(user) ?? null
  })
}

/**
 * A TLS server that listens on nothing is handed one connection, by the way that node:tls documents
 * for it: only so are a client's certificate and key checked.
 */
function encrypter(path: string, options: TlsOptions): NbdTls {
  const server = () => {
    try {
      return createServer(options)
    } catch (error) {
      throw invalid(path, messageOf(error), error)
    }
  }
  // What cannot work is found before the first client comes.
  server()
  return (plain, onSecure, onFailure) => {
    server()
      .once('secureConnection', onSecure)
      .once('tlsClientError', error => onFailure(`TLS failed: ${error.message}`))
      .emit('connection', plain)
  }
}

function parseKeys(path: string, text: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, user, key] = /^([^:]+):((?:[0-9a-fA-F]{2})+)\s*$/.exec(line.slice(0, pskLineMax)) ?? []
    if (user === undefined || key === undefined) {
      throw invalid(path, `line ${index + 1} is not USER:HEXADECIMAL-KEY`)
    }
    keys.set(user, Buffer.from(key, 'hex'))
  }
  if (keys.size === 0) throw invalid(path, 'it has no USER:HEXADECIMAL-KEY line')
  return keys
}

async function readNamed(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new BootswarmError(
      'ERR_FILE_MISSING',
      `${path}: cannot be read (${systemErrorCode(error) ?? 'unknown error'}); TLS for NBD needs it`,
      { cause: error }
    )
  }
}

function invalid(path: string, why: string, cause?: unknown): BootswarmError {
  return new BootswarmError('ERR_TLS_INVALID', `${path} is of no use for TLS: ${why}`, { cause })
}
