import {
  BootswarmError,
  generateSigningKey,
  limits,
  outsideAddresses,
  signingKeyFromSeed,
  type SigningKey
} from '../base/index.ts'
import type { Store } from '../store/index.ts'
import { peerIdOf } from '../swarm/index.ts'

// What a seed is on the network stays with its store: the key that is its peer id, and the addresses
// that it had when it last ran, for tickets that are made while it does not.

const keyName = 'seed-key'
const nameMax = 64
const addressesName = 'seed-addresses'

/** `as` tells the seeds apart that run on copies of one store: two with one key would be one peer. */
export async function seedKey(store: Store, as?: string): Promise<SigningKey> {
  if (as !== undefined && !(/^[a-z0-9-]+$/.test(as) && as.length <= nameMax)) {
    throw new BootswarmError(
      'ERR_USAGE',
      `--as ${as} is not a name of lower-case letters, digits and hyphens`
    )
  }
  const secret = as === undefined ? keyName : `${keyName}-${as}`
  const known = await store.readSecret(secret)
  if (known !== undefined) return signingKeyFromSeed(known)
  const key = generateSigningKey()
  await store.writeSecret(secret, key.seed)
  return key
}

export async function rememberAddresses(store: Store, addresses: readonly string[]): Promise<void> {
  await store.writeSecret(addressesName, Buffer.from(JSON.stringify(addresses)))
}

/** Those of the last start, else where a seed of this host would listen by default. */
export async function expectedAddresses(store: Store): Promise<string[]> {
  const last = await store.readSecret(addressesName)
  if (last !== undefined) return JSON.parse(Buffer.from(last).toString('utf8')) as string[]
  const peerId = peerIdOf(await seedKey(store))
  return hostAddresses().map(
    ({ family, address }) =>
      `/${family === 'IPv6' ? 'ip6' : 'ip4'}/${address}/tcp/${limits.seedPort}/p2p/${peerId}`
  )
}

/** A machine elsewhere can use neither loopback nor link-local addresses. */
function hostAddresses(): { family: string; address: string }[] {
  const reachable = outsideAddresses().filter(({ address }) => !address.startsWith('fe80:'))
  return reachable.length > 0 ? reachable : [{ family: 'IPv4', address: '127.0.0.1' }]
}
