import { networkInterfaces } from 'node:os'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { isLocation, placeOf } from '../../src/swarm/place.ts'

test('a location is a room, or a room and a rack', t => {
  for (const text of ['r1', 'room-2/rack_7', 'a/b/c.d', 'x'.repeat(limits.locationLengthMax)]) {
    t.true(isLocation(text), text)
  }
  const wrong = [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a b',
    'rück',
    'x'.repeat(limits.locationLengthMax + 1)
  ]
  for (const text of wrong) t.false(isLocation(text), text)
})

test('what a peer says of itself counts, whatever its address', t => {
  t.is(placeOf('room/rack', '/ip4/127.0.0.1/tcp/1'), 'room/rack')
})

test('peers of a subnet that this host is in are in its own place', t => {
  const own = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .map(({ address, family }) => `/${family === 'IPv6' ? 'ip6' : 'ip4'}/${address}/tcp/1`)
  const onLink = ['/ip4/127.0.0.1/tcp/1', '/ip4/127.9.9.9/tcp/1', '/ip6/::1/tcp/1']
  for (const address of [...own, ...onLink, '/ip6zone/eth0/ip6/fe80::1/tcp/1']) {
    t.is(placeOf(undefined, address), '', address)
  }
})

test('peers of another subnet are in one place with each other, not with those of a third', t => {
  const place = (address: string): string => placeOf(undefined, `${address}/tcp/4910`)
  t.is(place('/ip4/203.0.113.7'), place('/ip4/203.0.113.99'))
  t.not(place('/ip4/203.0.113.7'), place('/ip4/198.51.100.7'))
  t.not(place('/ip4/203.0.113.7'), '')
  t.is(place('/ip6/2001:db8:1:2::7'), place('/ip6/2001:0db8:1:2:3:4:5:6'))
  t.is(place('/ip6/2001:db8::7'), 'subnet 2001:db8:0:0::/64')
  t.not(place('/ip6/2001:db8:1:2::7'), place('/ip6/2001:db8:1:3::7'))
  t.is(place('/ip6/2001:db8::192.0.2.1'), place('/ip6/2001:db8::1'))
  t.false(isLocation(place('/ip4/203.0.113.7')))
})

test('an address without an IP, such as a name, says nothing', t => {
  t.is(placeOf(undefined, '/dns4/seed.example/tcp/4910'), '')
})
