import test, { type ExecutionContext } from 'ava'
import {
  BootswarmError,
  generateSigningKey,
  limits,
  silentLogger,
  type SigningKey
} from '../../src/base/index.ts'
import { Membership } from '../../src/agent/membership.ts'
import { issueCertificate, type PeerAddress, type Ticket } from '../../src/swarm/index.ts'
import { startPeer, until, type TestPeer } from '../swarm/peers.ts'

const lab = generateSigningKey()

interface Enrolled {
  readonly names: string[]
  refusal: string | undefined
}

/** A seed of the lab that enrols whoever asks, or tells them why not. */
async function startSeed(t: ExecutionContext, key?: SigningKey) {
  const enrolled: Enrolled = { names: [], refusal: undefined }
  const seed = await startPeer(t, {
    lab,
    key,
    role: 'seed',
    name: 'seed',
    enrol: ({ peerId, name }) => {
      if (enrolled.refusal !== undefined) {
        throw new BootswarmError('ERR_TICKET_INVALID', enrolled.refusal)
      }
      enrolled.names.push(name)
      return issueCertificate(lab, { peerId, role: 'agent', name })
    }
  })
  return { seed, enrolled }
}

function ticketFor(...seeds: readonly string[]): Ticket {
  return { labKey: lab.publicKey, seeds, expiresMs: 1, secret: new Uint8Array(32) }
}

interface Joined {
  readonly peer: TestPeer
  readonly membership: Membership
  readonly running: Promise<void>
  readonly certificates: Uint8Array[]
  readonly alone: string[]
  /** Names that no seed has changed. */
  readonly kept: string[]
  readonly neighbours: string[]
}

async function join(
  t: ExecutionContext,
  ticket: Ticket,
  known: { peers?: readonly PeerAddress[]; isCertified?: boolean; formerName?: string } = {}
): Promise<Joined> {
  const peer = await startPeer(t, { lab, certificate: 'none' })
  const { peerId } = peer.swarm
  const certificates: Uint8Array[] = []
  const alone: string[] = []
  const kept: string[] = []
  const neighbours: string[] = []
  const membership = new Membership({
    swarm: peer.swarm,
    ticket,
    name: 'pc-7',
    formerName: known.formerName,
    logger: silentLogger,
    certificate:
      known.isCertified === true
        ? issueCertificate(lab, { peerId, role: 'agent', name: known.formerName ?? 'pc-7' })
        : undefined,
    peers: known.peers ?? [],
    onCertified: certificate => certificates.push(certificate),
    onNameKept: (name, why) => kept.push(`${name}: ${why}`),
    onNeighbour: link => neighbours.push(link.peerId),
    onAlone: (_seeds, why) => alone.push(why)
  })
  const running = membership.run()
  running.catch(() => {})
  t.teardown(() => membership.stop())
  return { peer, membership, running, certificates, alone, kept, neighbours }
}

test('a new machine enrols once, joins the seed, and stops when told to', async t => {
  const { seed, enrolled } = await startSeed(t)
  const ticket = ticketFor(...seed.swarm.addresses())
  const { peer, membership, running, certificates } = await join(t, ticket)
  await until(() => peer.swarm.links().length === 1, 'the link to the seed')
  t.is(peer.swarm.links()[0]?.certificate?.role, 'seed')
  t.is(certificates.length, 1)
  t.deepEqual(enrolled.names, ['pc-7'])
  t.deepEqual(
    membership.peers().map(({ peerId }) => peerId),
    [seed.swarm.peerId]
  )
  membership.stop()
  await t.notThrowsAsync(running)
})

test('a machine with a certificate does not ask for another, and comes back to its seed', async t => {
  const key = generateSigningKey()
  const first = await startSeed(t, key)
  const ticket = ticketFor(...first.seed.swarm.addresses())
  const { peer } = await join(t, ticket, { isCertified: true })
  await until(() => peer.swarm.links().length === 1, 'the link to the seed')
  const [link] = peer.swarm.links()
  link?.close()
  await until(() => peer.swarm.links().length === 1 && peer.swarm.links()[0] !== link, 'a new link')
  t.deepEqual(first.enrolled.names, [])
})

test('a machine that is to have another name is signed anew, and keeps its own where it is not', async t => {
  const { seed, enrolled } = await startSeed(t)
  const ticket = ticketFor(...seed.swarm.addresses())
  const former = { isCertified: true, formerName: 'pc-6' }
  const renamed = await join(t, ticket, former)
  const nameAtSeed = ({ peer }: Joined) => seed.swarm.link(peer.swarm.peerId)?.certificate?.name
  await until(() => nameAtSeed(renamed) !== undefined, 'the link to the seed')
  t.is(nameAtSeed(renamed), 'pc-7')
  t.deepEqual(enrolled.names, ['pc-7'])
  t.is(renamed.certificates.length, 1)
  t.deepEqual(renamed.kept, [])

  enrolled.refusal = 'the ticket expired'
  const refused = await join(t, ticket, former)
  await until(() => nameAtSeed(refused) !== undefined, 'the link to the seed')
  t.is(nameAtSeed(refused), 'pc-6')
  t.deepEqual(refused.kept, ['pc-6: the ticket expired'])
  t.deepEqual(refused.certificates, [])
})

test('peers that it was told of are joined, and those of its last start when every seed is dead', async t => {
  const [first, second] = [await startPeer(t, { lab }), await startPeer(t, { lab })]
  const dead = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWSdM4Y5imj4PcBN7xjTciXa922gjGMxBzEWoEXRdeDoE6'
  const known = { isCertified: true, peers: [first.address] }
  const { peer, membership } = await join(t, ticketFor(dead), known)
  await until(() => peer.swarm.link(first.swarm.peerId) !== undefined, 'the peer it remembered')
  membership.learn(second.address)
  await until(() => peer.swarm.link(second.swarm.peerId) !== undefined, 'the peer it was told of')
  t.deepEqual(membership.addressOf(second.swarm.peerId), second.address)
})

test('nobody there: it says so, and goes on trying', async t => {
  const key = generateSigningKey()
  const { seed } = await startSeed(t, key)
  const addresses = seed.swarm.addresses()
  await seed.swarm.stop()
  const { alone, certificates } = await join(t, ticketFor(...addresses))
  await until(() => alone.length >= 2, 'two complaints')
  t.true(alone.every(why => why.length > 0))
  t.deepEqual(certificates, [])
})

test('what only the user can mend ends it', async t => {
  const { seed, enrolled } = await startSeed(t)
  enrolled.refusal = 'the ticket expired'
  const { running } = await join(t, ticketFor(...seed.swarm.addresses()))
  await t.throwsAsync(running, { code: 'ERR_TICKET_INVALID', message: /expired/ })
})

test('a seed of another lab is not told the ticket’s secret', async t => {
  const other = generateSigningKey()
  let asked = 0
  const stranger = await startPeer(t, {
    lab: other,
    role: 'seed',
    enrol: () => {
      asked += 1
      return new Uint8Array()
    }
  })
  const { running } = await join(t, ticketFor(...stranger.swarm.addresses()))
  await t.throwsAsync(running, { code: 'ERR_PEER_UNTRUSTED' })
  t.is(asked, 0)
})

test('what it remembers is bounded, the latest stay, and it never learns of itself', async t => {
  const { seed } = await startSeed(t)
  const { peer, membership } = await join(t, ticketFor(...seed.swarm.addresses()))
  membership.stop()
  membership.learn({ peerId: peer.swarm.peerId, addresses: ['/ip4/10.0.0.1/tcp/1'] })
  t.is(membership.addressOf(peer.swarm.peerId), undefined)
  for (let index = 0; index <= limits.peersKnownMax; index += 1) {
    membership.learn({ peerId: `peer-${index}`, addresses: [] })
  }
  t.is(membership.addressOf('peer-0'), undefined)
  t.not(membership.addressOf('peer-1'), undefined)
  t.not(membership.addressOf(`peer-${limits.peersKnownMax}`), undefined)
  t.true(membership.peers().length <= limits.peersIntroducedMax)
})

test('a peer that was connected for an errand becomes a neighbour without another dial', async t => {
  const key = generateSigningKey()
  const { seed } = await startSeed(t, key)
  const other = await startPeer(t, { lab })
  const { peer, membership, neighbours } = await join(t, ticketFor(...seed.swarm.addresses()))
  await until(() => peer.swarm.links().length === 1, 'the link to the seed')
  const link = await peer.swarm.connect(other.address)
  t.false(membership.isNeighbour(other.swarm.peerId))
  membership.learn(other.address)
  await until(() => neighbours.length > 0, 'the neighbour')
  t.deepEqual(neighbours, [other.swarm.peerId])
  t.true(membership.isNeighbour(other.swarm.peerId))
  t.is(peer.swarm.link(other.swarm.peerId), link)
})

test('who chose this machine is a neighbour too, and one that cannot be reached is none', async t => {
  const { seed } = await startSeed(t)
  const { membership } = await join(t, ticketFor(...seed.swarm.addresses()))
  membership.chosenBy('someone')
  t.true(membership.isNeighbour('someone'))
  const dead = { peerId: seed.swarm.peerId.slice(0, -1), addresses: ['/ip4/127.0.0.1/tcp/1'] }
  membership.learn(dead)
  await until(() => !membership.isNeighbour(dead.peerId), 'the dial has failed')
  t.false(membership.isNeighbour(dead.peerId))
})

test('a ticket that names no seed: one that is found is joined, and so many are kept', async t => {
  const { seed, enrolled } = await startSeed(t)
  const { peer, membership } = await join(t, ticketFor())
  for (let n = 0; n <= limits.seedsFoundMax; n += 1) {
    if (n === limits.seedsFoundMax / 2) membership.found(seed.address)
    else membership.found({ peerId: `nobody${n}`, addresses: ['/ip4/127.0.0.1/tcp/1'] })
  }
  t.is(membership.seedCount, limits.seedsFoundMax)
  await until(() => peer.swarm.link(seed.swarm.peerId) !== undefined, 'the link to the seed')
  t.deepEqual(enrolled.names, ['pc-7'])
})

test('a seed of the ticket that is found elsewhere is joined there', async t => {
  const { seed } = await startSeed(t)
  const { peerId } = seed.address
  const { peer, membership } = await join(t, ticketFor(`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`))
  membership.found(seed.address)
  t.is(membership.seedCount, 1)
  await until(() => peer.swarm.link(peerId) !== undefined, 'the link to the seed')
})
