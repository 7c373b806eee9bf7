import type { Identity } from './identity.ts'
import { Membership, type MembershipInit } from './membership.ts'
import { defaultListen } from './options.ts'
import { Peering, type PeeringInit } from './peering.ts'

export interface JoiningInit
  extends
    Omit<PeeringInit, 'key' | 'labKey' | 'listen' | 'keeps' | 'onPeers'>,
    Omit<MembershipInit, 'swarm' | 'certificate' | 'peers'> {
  readonly identity: Identity
  /** Undefined: any free port of every address. */
  readonly listen: readonly string[] | undefined
}

export interface Joined {
  readonly peering: Peering
  /** Nobody is dialled before its `run`. */
  readonly membership: Membership
}

/** Listens for the lab's peers, as who `identity` says. ERR_ADDRESS_INVALID, ERR_ADDRESS_IN_USE. */
export async function joinLab({ identity, listen, ...init }: JoiningInit): Promise<Joined> {
  const { key, certificate, peers } = identity
  const peering = await Peering.start({
    ...init,
    key,
    labKey: init.ticket.labKey,
    listen: listen ?? defaultListen,
    keeps: link => link.certificate?.role === 'seed' || membership.isNeighbour(link.peerId),
    onPeers: found => {
      for (const peer of found) membership.learn(peer)
    }
  })
  const membership = new Membership({ ...init, swarm: peering.swarm, certificate, peers })
  return { peering, membership }
}
