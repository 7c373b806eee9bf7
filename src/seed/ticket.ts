import { BootswarmError, limits } from '../base/index.ts'
import { askSeed } from '../control/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { encodeTicket, newBinding, ticketSecret } from '../swarm/index.ts'
import { expectedAddresses } from './identity.ts'

/**
 * A ticket for the lab of a store, naming the running seed's addresses, else those where a seed of
 * this store is expected. `also` are addresses of other seeds of the lab; ERR_USAGE for one that names
 * no peer. With `machine`, as parseMachineId writes it, it is for one boot of that machine. Rejects as
 * openStore does.
 */
export async function makeTicket(
  storeDir: string,
  expiresMs: number,
  also: readonly string[] = [],
  machine?: string
): Promise<string> {
  const others = also.map(checkedAddress)
  const store = await openStore(storeDir)
  try {
    const running = await askSeed(storeDir).catch(() => undefined)
    const seeds = running?.seed.addresses ?? (await expectedAddresses(store))
    return ticketOf(store, { machine, expiresMs, seeds: [...forOthers(seeds), ...others] })
  } finally {
    await store.close()
  }
}

export interface BootTickets extends AsyncDisposable {
  /**
   * For one boot of one machine: whoever else reads it can do nothing with it. `seeds` are multiaddrs,
   * by default those where the store's seed was last. A ticket becomes part of a kernel's command line,
   * so it names few of them.
   */
  make(machine: string, expiresMs: number, seeds?: readonly string[]): Promise<string>
}

/** Rejects as openStore does. */
export async function openBootTickets(storeDir: string): Promise<BootTickets> {
  const store = await openStore(storeDir)
  return {
    async make(machine, expiresMs, seeds) {
      const all = forOthers(seeds ?? (await expectedAddresses(store)))
      return ticketOf(store, { machine, expiresMs, seeds: few(all) })
    },
    [Symbol.asyncDispose]: () => store.close()
  }
}

/** IPv4 before IPv6, which is longer. */
function few(seeds: readonly string[]): string[] {
  const sorted = [...seeds].sort(
    (a, b) => Number(a.startsWith('/ip6')) - Number(b.startsWith('/ip6'))
  )
  return sorted.slice(0, limits.bootTicketAddressesMax)
}

type TicketStore = Pick<Store, 'lab' | 'enrolSecret'>

interface TicketInit {
  readonly machine: string | undefined
  readonly expiresMs: number
  readonly seeds: readonly string[]
}

function ticketOf({ lab, enrolSecret }: TicketStore, init: TicketInit): string {
  const { machine, expiresMs, seeds } = init
  const bound = machine === undefined ? undefined : newBinding(machine)
  const secret = ticketSecret(enrolSecret, expiresMs, bound)
  return encodeTicket({ labKey: lab.publicKey, seeds, expiresMs, secret, bound })
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
