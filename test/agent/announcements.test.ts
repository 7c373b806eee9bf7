import test, { type ExecutionContext } from 'ava'
import { haveItemsMax, haveMapBytesMax, type Certificate } from '../../src/swarm/index.ts'
import { Announcements } from '../../src/agent/announcements.ts'
import { FakeLink } from '../swarm/fake-link.ts'
import { until } from '../swarm/peers.ts'

const imageId = 'ab'.repeat(32)

class Peer extends FakeLink {
  readonly certificate: Certificate

  constructor(peerId: string, role: Certificate['role']) {
    super(peerId)
    this.certificate = { peerId, role, name: peerId }
  }
}

function announcing(t: ExecutionContext, itemCount: number, bitfield = new Uint8Array()) {
  const announcements = new Announcements({ imageId, itemCount, bitfield: () => bitfield })
  t.teardown(() => announcements.stop())
  return announcements
}

function itemsIn(peer: FakeLink, type: 'have' | 'have-not'): number[] {
  return peer.sentOf(type).flatMap(({ items }) => [...items])
}

test('who is greeted is asked once what it has', t => {
  const announcements = announcing(t, 20)
  const peer = new Peer('a', 'agent')
  announcements.greet(peer.link)
  announcements.greet(peer.link)
  t.deepEqual(peer.sent, [{ type: 'interest', imageId, itemCount: 20 }])
})

test('who works on the same image gets the bitfield once, and then the news', async t => {
  const announcements = announcing(t, 20, Uint8Array.of(0b1010_0000, 0, 0b0001_0000))
  const peer = new Peer('a', 'agent')
  announcements.greet(peer.link)
  announcements.interested(peer.link, { type: 'interest', imageId, itemCount: 20 })
  const bits = Uint8Array.of(0b1010_0000, 0, 0b0001_0000)
  t.deepEqual(peer.sent.slice(1), [{ type: 'have-map', imageId, first: 0, bits }])
  announcements.changed(3, true)
  announcements.changed(4, true)
  announcements.changed(5, false)
  announcements.changed(4, false)
  t.is(peer.sent.length, 2, 'news is collected')
  await until(() => peer.sent.length === 4, 'the news')
  t.deepEqual(itemsIn(peer, 'have'), [3])
  t.deepEqual(itemsIn(peer, 'have-not'), [4, 5], 'the last word on an item counts')
  announcements.changed(6, true)
  await until(() => itemsIn(peer, 'have').includes(6), 'more news')
})

test('a seed hears the news without asking, a peer with another image never', async t => {
  const announcements = announcing(t, 20)
  const [seed, other, gone] = [
    new Peer('seed', 'seed'),
    new Peer('b', 'agent'),
    new Peer('c', 'agent')
  ]
  for (const peer of [seed, other]) announcements.greet(peer.link)
  const another = 'cd'.repeat(32)
  announcements.interested(other.link, { type: 'interest', imageId: another, itemCount: 20 })
  announcements.interested(other.link, { type: 'interest', imageId, itemCount: 21 })
  announcements.interested(gone.link, { type: 'interest', imageId, itemCount: 20 })
  announcements.gone(gone.link)
  announcements.changed(1, true)
  await until(() => itemsIn(seed, 'have').length > 0, 'the news')
  t.deepEqual(itemsIn(other, 'have'), [])
  t.deepEqual(itemsIn(gone, 'have'), [])
})

test('a seed is told at once what a machine has, if that is anything', t => {
  const typesFor = (bits: Uint8Array<ArrayBuffer>): string[] => {
    const seed = new Peer('seed', 'seed')
    announcing(t, 20, bits).greet(seed.link)
    return seed.sent.map(({ type }) => type)
  }
  t.deepEqual(typesFor(Uint8Array.of(0, 0, 0)), ['interest'])
  t.deepEqual(typesFor(Uint8Array.of(0, 0, 0x10)), ['interest', 'have-map'])
})

test('long bitfields and much news go out in messages of bounded size', async t => {
  const bytes = haveMapBytesMax + 10
  const announcements = announcing(t, bytes * 8, new Uint8Array(bytes).fill(255))
  const peer = new Peer('a', 'agent')
  announcements.interested(peer.link, { type: 'interest', imageId, itemCount: bytes * 8 })
  t.deepEqual(
    peer.sentOf('have-map').map(({ first, bits }) => [first, bits.length]),
    [
      [0, haveMapBytesMax],
      [haveMapBytesMax * 8, 10]
    ]
  )
  for (let item = 0; item <= haveItemsMax; item += 1) announcements.changed(item, true)
  await until(() => itemsIn(peer, 'have').length > haveItemsMax, 'the news')
  t.deepEqual(
    peer.sentOf('have').map(({ items }) => items.length),
    [haveItemsMax, 1]
  )
})

test('who asks what this machine has is asked the same in return', t => {
  const announcements = announcing(t, 20, Uint8Array.of(0x80, 0, 0))
  const peer = new Peer('a', 'agent')
  announcements.interested(peer.link, { type: 'interest', imageId, itemCount: 20 })
  t.deepEqual(
    peer.sent.map(({ type }) => type),
    ['interest', 'have-map']
  )
})

test('what was read goes from neighbour to neighbour, once, and to no seed', async t => {
  const announcements = announcing(t, 20)
  const [first, late, seed] = [
    new Peer('a', 'agent'),
    new Peer('b', 'agent'),
    new Peer('seed', 'seed')
  ]
  announcements.greet(seed.link)
  announcements.interested(first.link, { type: 'interest', imageId, itemCount: 20 })
  for (const item of [7, 3, 7]) announcements.read(item)
  announcements.changed(7, true)
  await until(() => first.sentOf('read').length > 0, 'what was read')
  t.deepEqual(first.sentOf('read'), [{ type: 'read', imageId, items: [7, 3] }])
  announcements.interested(late.link, { type: 'interest', imageId, itemCount: 20 })
  t.deepEqual(late.sentOf('read'), [{ type: 'read', imageId, items: [7, 3] }])
  await until(() => itemsIn(seed, 'have').length > 0, 'the news')
  t.deepEqual(seed.sentOf('read'), [])
})
