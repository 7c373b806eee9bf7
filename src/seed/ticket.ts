import { limits } from '../base/index.ts'
import { askSeed } from '../control/index.ts'
import { openStore } from '../store/index.ts'
import { encodeTicket, ticketSecret } from '../swarm/index.ts'
import { expectedAddresses } from './identity.ts'

/**
 * A ticket for the lab of a store, naming the running seed's addresses, else those where a seed of
 * this store is expected. Rejects as openStore does.
 */
export async function makeTicket(storeDir: string, expiresMs: number): Promise<string> {
  const store = await openStore(storeDir)
  try {
    const running = await askSeed(storeDir).catch(() => undefined)
    const seeds = running?.seed.addresses ?? (await expectedAddresses(store))
    return encodeTicket({
      labKey: store.lab.publicKey,
      seeds: forOthers(seeds),
      expiresMs,
      secret: ticketSecret(store.enrolSecret, expiresMs)
    })
  } finally {
    await store.close()
  }
}

/** Loopback addresses are of use only when there are no others: a lab on one host. */
function forOthers(addresses: readonly string[]): readonly string[] {
  const reachable = addresses.filter(address => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(address))
  return (reachable.length > 0 ? reachable : addresses).slice(0, limits.addressesPerPeerMax)
}
