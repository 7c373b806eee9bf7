import test from 'ava'
import { limits, seededRandom } from '../../src/base/index.ts'
import { Introductions } from '../../src/seed/introductions.ts'
import { FakeLink } from '../swarm/fake-link.ts'

const imageId = 'ab'.repeat(32)
const otherId = 'cd'.repeat(32)
const addressOf = (peerId: string) => ({ peerId, addresses: [`/dns4/${peerId}/tcp/1`] })

function namesTold(link: FakeLink): string[] {
  return link.sentOf('peers').flatMap(({ peers }) => peers.map(({ peerId }) => peerId))
}

test('a machine is told of those that work on its image, not of itself', t => {
  const introductions = new Introductions(seededRandom(1))
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => new FakeLink(name)) as [
    FakeLink,
    FakeLink,
    FakeLink,
    FakeLink
  ]
  introductions.introduce(a.link, imageId, addressOf)
  t.deepEqual(a.sent, [], 'there is nobody yet')
  introductions.introduce(b.link, imageId, addressOf)
  t.deepEqual(b.sent, [{ type: 'peers', peers: [addressOf('a')] }])
  introductions.introduce(c.link, otherId, addressOf)
  t.deepEqual(c.sent, [])
  introductions.introduce(a.link, imageId, addressOf)
  t.deepEqual(namesTold(a), ['b'])
  introductions.gone(a.link)
  introductions.introduce(d.link, imageId, addressOf)
  t.deepEqual(namesTold(d), ['b'])
})

test('a peer whose address is not known is not named', t => {
  const introductions = new Introductions(seededRandom(1))
  const [a, b, c] = ['a', 'b', 'c'].map(name => new FakeLink(name)) as [
    FakeLink,
    FakeLink,
    FakeLink
  ]
  for (const peer of [a, b]) introductions.introduce(peer.link, imageId, () => undefined)
  t.deepEqual(b.sent, [])
  introductions.introduce(c.link, imageId, id => (id === 'b' ? addressOf(id) : undefined))
  t.deepEqual(namesTold(c), ['b'])
})

test('in a large lab each is told of a few, and everybody is told of', t => {
  const introductions = new Introductions(seededRandom(7))
  const links = Array.from({ length: 60 }, (_, index) => new FakeLink(`m${index}`))
  for (const { link } of links) introductions.introduce(link, imageId, addressOf)
  const told = links.map(namesTold)
  t.true(told.every(names => names.length <= limits.neighboursMax))
  t.true(told.every(names => new Set(names).size === names.length))
  // The last has nobody after it who could be told.
  t.true(new Set(told.flat()).size > 50)
})

test('half of those that a machine is told of are near ones, which come last; the rest is random', t => {
  const introductions = new Introductions(seededRandom(3))
  const links = Array.from({ length: 200 }, (_, n) => new FakeLink(`p${n}`))
  for (const [n, link] of links.entries()) {
    link.place = `rack ${Math.floor(n / 40)}`
    introductions.introduce(link.link, imageId, addressOf)
  }
  const newcomer = new FakeLink('new')
  newcomer.place = 'rack 2'
  introductions.introduce(newcomer.link, imageId, addressOf)
  const told = namesTold(newcomer).map(name => Math.floor(Number(name.slice(1)) / 40))
  t.is(told.length, limits.neighboursMax)
  t.deepEqual(told.slice(limits.neighboursMax / 2), new Array(limits.neighboursMax / 2).fill(2))
  t.true(new Set(told.slice(0, limits.neighboursMax / 2)).size > 2)
})
