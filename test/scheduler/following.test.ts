import test from 'ava'
import { Following } from '../../src/scheduler/following.ts'
import { PeerTable } from '../../src/scheduler/peer-table.ts'

function withPeers(...ids: string[]): { peers: PeerTable; following: Following } {
  const peers = new PeerTable()
  for (const id of ids) peers.join(id, 'agent', 0)
  return { peers, following: new Following(peers, 'm') }
}

test('whoever a seed has sent us to is asked for the next chunk, for a while', t => {
  const { following } = withPeers('a')
  t.is(following.leaderFor(2, 0), undefined)
  following.sentTo('a', 0)
  t.is(following.leaderFor(2, 999), 'a')
  t.is(following.leaderFor(2, 1_000), undefined)
})

test('as long as it promises what it is asked for, it is followed on', t => {
  const { following } = withPeers('a', 'b')
  following.sentTo('a', 0)
  following.accepted('b', 900)
  t.is(following.leaderFor(2, 1_000), undefined)
  following.accepted('a', 900)
  t.is(following.leaderFor(3, 1_800), 'a')
  following.failed('b')
  t.is(following.leaderFor(3, 1_800), 'a')
  following.failed('a')
  t.is(following.leaderFor(4, 1_800), undefined)
})

test('of two machines only one follows the other, so that they never wait for each other', t => {
  const { peers, following } = withPeers('a', 'z')
  following.sentTo('z', 0)
  t.is(following.leaderFor(1, 0), undefined)
  following.sentTo('a', 0)
  following.sentTo('z', 0)
  t.is(following.leaderFor(1, 0), 'a')
  const nameless = new Following(peers, undefined)
  nameless.sentTo('a', 0)
  t.is(nameless.leaderFor(1, 0), undefined)
})

test('nobody is followed who is gone, in another rack, avoided for the chunk, or stalls', t => {
  const { peers, following } = withPeers('a')
  following.sentTo('a', 0)
  peers.avoid('a', 7, 500)
  t.is(following.leaderFor(7, 0), undefined)
  t.is(following.leaderFor(8, 0), 'a')
  peers.stalled('a', 0, 0)
  t.is(following.leaderFor(8, 1), undefined)
  peers.leave('a')
  t.is(following.leaderFor(8, 0), undefined)
  peers.join('a', 'agent', 0, false)
  t.is(following.leaderFor(8, 0), undefined)
})
