import test from 'ava'
import { PeerTable } from '../../src/scheduler/peer-table.ts'

test('peers are known from when they join until they leave', t => {
  const peers = new PeerTable()
  peers.join('a', 'seed', 10)
  peers.join('b', 'agent', 20)
  t.like(peers.get('a'), { role: 'seed', requests: 0, heardAt: 10 })
  t.deepEqual(
    peers.all().map(({ id }) => id),
    ['a', 'b']
  )
  peers.leave('a')
  t.is(peers.get('a'), undefined)
})

test('what is said of a peer that is not connected changes nothing', t => {
  const peers = new PeerTable()
  peers.heard('x', 1)
  peers.asked('x')
  peers.released('x')
  peers.settled('x', 0, 1)
  peers.stalled('x', 1, 1)
  t.deepEqual(peers.all(), [])
})

test('requests are counted and never less than none', t => {
  const peers = new PeerTable()
  peers.join('a', 'agent', 0)
  peers.asked('a')
  peers.asked('a')
  t.is(peers.get('a')?.requests, 2)
  peers.released('a')
  peers.settled('a', 0, 5)
  t.is(peers.get('a')?.requests, 0)
  peers.released('a')
  t.is(peers.get('a')?.requests, 0)
})

test('how long a peer takes follows what it took lately', t => {
  const peers = new PeerTable()
  peers.join('a', 'agent', 0)
  const serviceMs = (): number => peers.get('a')?.serviceMs ?? -1
  const initial = serviceMs()
  t.true(initial > 0)
  for (let n = 0; n < 50; n += 1) peers.settled('a', 1_000, 1_100)
  t.true(Math.abs(serviceMs() - 100) < 1)
  peers.settled('a', 1_000, 1_010)
  t.true(serviceMs() < 100 && serviceMs() > 10)
})

test('a stalled peer comes last for a while, or until it delivers', t => {
  const peers = new PeerTable()
  peers.join('a', 'agent', 0)
  peers.stalled('a', 100, 100)
  t.true((peers.get('a')?.stall.until ?? 0) > 100)
  peers.settled('a', 100, 200)
  t.true((peers.get('a')?.stall.until ?? 0) <= 200)
})

test('a peer is avoided for one item, for a time, whether it is connected or not', t => {
  const peers = new PeerTable()
  peers.avoid('a', 7, 100)
  t.true(peers.isAvoided('a', 7, 99))
  t.false(peers.isAvoided('a', 7, 100))
  t.false(peers.isAvoided('a', 7, 99), 'it is over once it was over')
  peers.avoid('a', 7, 100)
  t.false(peers.isAvoided('a', 8, 0))
  t.false(peers.isAvoided('b', 7, 0))
  peers.avoid('b', 7, 100)
  peers.avoid('b', 8, 100)
  peers.forgive(7)
  t.false(peers.isAvoided('a', 7, 0))
  t.false(peers.isAvoided('b', 7, 0))
  t.true(peers.isAvoided('b', 8, 0))
})

test('a peer that stalls again and again is left alone for longer each time, until it delivers', t => {
  const peers = new PeerTable()
  peers.join('a', 'agent', 0)
  const waits: number[] = []
  let now = 100
  for (let n = 0; n < 10; n += 1) {
    peers.stalled('a', now, now)
    peers.stalled('a', now, now + 1)
    waits.push((peers.get('a')?.stall.until ?? 0) - now)
    now += 100_000
  }
  t.deepEqual(waits.slice(0, 3), [1_000, 2_000, 4_000], 'what stalls together is one stall')
  t.is(waits.at(-1), 60_000)
  peers.settled('a', now, now + 10)
  peers.stalled('a', now, now + 20)
  t.is(peers.get('a')?.stall.until, now + 1_020)
})

test('it is hopeless to be sent to a peer that stalls or was banned', t => {
  const peers = new PeerTable()
  peers.join('a', 'agent', 0)
  t.false(peers.isHopeless('a', 0))
  peers.stalled('a', 0, 0)
  t.true(peers.isHopeless('a', 999))
  t.false(peers.isHopeless('a', 1_000))
  peers.ban('b')
  t.true(peers.isHopeless('b', 1e9), 'connected or not')
})
