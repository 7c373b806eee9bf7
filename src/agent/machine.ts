import { hostname } from 'node:os'
import { TargetDisk } from '../disk/index.ts'
import { openCertificate, peerIdOf } from '../swarm/index.ts'
import { decodeIdentity, newIdentity, type Identity } from './identity.ts'

type Pinned = NonNullable<Awaited<ReturnType<typeof TargetDisk.peek>>>

/** What this machine was when it last ran, read from its disk metadata; a new machine has none. */
export interface Machine {
  readonly identity: Identity
  /** What it is to be called. */
  readonly name: string
  /** What the lab has signed it as, if that is something else. */
  readonly formerName: string | undefined
  readonly pinned: Pinned | undefined
}

/** Rejects as TargetDisk.peek and openCertificate do. `labKey` decides whether an earlier identity is of any use. */
export async function recallMachine(
  options: { readonly disk: string; readonly metadata?: string; readonly name?: string },
  labKey: Uint8Array
): Promise<Machine> {
  const pinned = await TargetDisk.peek(options.disk, options.metadata)
  const isOurs = pinned !== undefined && Buffer.compare(pinned.labKey, labKey) === 0
  const kept = isOurs && pinned.identity !== undefined ? decodeIdentity(pinned.identity) : undefined
  const identity = kept ?? newIdentity()
  const peerId = peerIdOf(identity.key)
  const { certificate } = identity
  const signed = certificate && openCertificate(labKey, peerId, certificate).name
  const name = options.name ?? signed ?? `${hostname()}-${peerId.slice(-6)}`
  return { identity, name, formerName: name === signed ? undefined : signed, pinned }
}
