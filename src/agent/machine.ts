import { hostname } from 'node:os'
import { TargetDisk } from '../disk/index.ts'
import { peerIdOf } from '../swarm/index.ts'
import { decodeIdentity, newIdentity, type Identity } from './identity.ts'

type Pinned = NonNullable<Awaited<ReturnType<typeof TargetDisk.peek>>>

/** What this machine was when it last ran, read from its disk metadata; a new machine has none. */
export interface Machine {
  readonly identity: Identity
  readonly name: string
  readonly pinned: Pinned | undefined
}

/** Rejects as TargetDisk.peek does. `labKey` decides whether an earlier identity is of any use. */
export async function recallMachine(
  options: { readonly disk: string; readonly metadata?: string; readonly name?: string },
  labKey: Uint8Array
): Promise<Machine> {
  const pinned = await TargetDisk.peek(options.disk, options.metadata)
  const isOurs = pinned !== undefined && Buffer.compare(pinned.labKey, labKey) === 0
  const kept = isOurs && pinned.identity !== undefined ? decodeIdentity(pinned.identity) : undefined
  const identity = kept ?? newIdentity()
  const suffix = peerIdOf(identity.key).slice(-6)
  return { identity, name: options.name ?? `${hostname()}-${suffix}`, pinned }
}
