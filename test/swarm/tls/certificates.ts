import { X509Certificate } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { makeCertificate, type OwnCertificate } from '../../../src/swarm/tls/own-certificate.ts'

export interface Identity {
  readonly peerId: PeerId
  readonly own: OwnCertificate
  readonly certificate: X509Certificate
}

export async function makeIdentity(): Promise<Identity> {
  const key = await generateKeyPair('Ed25519')
  const own = await makeCertificate(key)
  return { peerId: peerIdFromPrivateKey(key), own, certificate: new X509Certificate(own.cert) }
}
