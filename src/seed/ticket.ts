import { BootswarmError, limits } from '../base/index.ts'
import { askSeed } from '../control/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { encodeTicket, ticketSecret } from '../swarm/index.ts'
import { expectedAddresses } from './identity.ts'

/**
 * A ticket for the lab of a store, naming the running seed's addresses, else those where a seed of
 * this store is expected. `also` are addresses of other seeds of the lab; ERR_USAGE for one that names
 * no peer. With `addresses` false it names none: machines look for a seed on their own network. Rejects
 * as openStore does.
 */
export async function makeTicket(
  storeDir: string,
  expiresMs: number,
  also: readonly string[] = [],
  addresses = true
): Promise<string> {
  const others = also.map(checkedAddress)
  const store = await openStore(storeDir)
  try {
    const seeds = addresses ? await addressesOf(store, storeDir) : []
    return encodeTicket({
      labKey: store.lab.publicKey,
      seeds: [...forOthers(seeds), ...others],
      expiresMs,
      secret: ticketSecret(store.enrolSecret, expiresMs)
    })
  } finally {
    await store.close()
  }
}

async function addressesOf(store: Store, storeDir: string): Promise<readonly string[]> {
  const running = await askSeed(storeDir).catch(() => undefined)
  return running?.seed.addresses ?? (await expectedAddresses(store))
}

/** Loopback addresses are of use only when there are no others: a lab on one host. */
function forOthers(addresses: readonly string[]): readonly string[] {
  const reachable = addresses.filter(address => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(address))
  return (reachable.length > 0 ? reachable : addresses).slice(0, limits.addressesPerPeerMax)
}

function checkedAddress(text: string): string {
  if (/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}\/p2p\/[A-Za-z0-9]+$/.test(text)) return text
  throw new BootswarmError(
    'ERR_USAGE',
    `--also ${text} is not an address such as /ip4/192.0.2.7/tcp/4910/p2p/12D3…; a seed prints its own when it starts`
  )
}
