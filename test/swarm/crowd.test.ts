import test from 'ava'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import { startPeer, until, type TestPeer } from './peers.ts'

// A room that is switched on: everybody dials one seed at once, and then nobody says anything.
// BOOTSWARM_SOAK=1 makes it a thousand machines; it then takes a minute.

const lab = generateSigningKey()
const machines = process.env.BOOTSWARM_SOAK === '1' ? 1_000 : 50

test(`${machines} machines that dial at once are all let in, and none is lost while all are idle`, async t => {
  t.timeout(600_000)
  const seed = await startPeer(t, { lab, role: 'seed' })
  const peers = []
  for (let n = 0; n < machines; n += 1) peers.push(await startPeer(t, { lab, name: `pc-${n}` }))
  let inVain = 0
  let isOver = false
  t.teardown(() => (isOver = true))
  // As a machine does: who was late, or was let in and lost while others came, dials again.
  const join = async (peer: TestPeer): Promise<void> => {
    while (!isOver && peer.swarm.link(seed.address.peerId) === undefined) {
      const link = await peer.swarm.connect(seed.address).catch(() => undefined)
      if (link === undefined) inVain += 1
    }
  }
  const begin = performance.now()
  for (const peer of peers) {
    peer.onGone = () => void join(peer)
    void join(peer)
  }
  await until(() => seed.swarm.links().length === machines, 'a link to each', 300_000)
  t.log(`all in after ${Math.round(performance.now() - begin)} ms, ${inVain} dials in vain`)
  await new Promise(resolve => setTimeout(resolve, 2 * limits.pingIntervalMs))
  t.is(seed.swarm.links().length, machines)
  isOver = true
  t.true(peers.every(peer => peer.swarm.link(seed.swarm.peerId)?.closed === false))
  peers[0]?.swarm.link(seed.swarm.peerId)?.send({ type: 'ping', nonce: 7 })
  await until(() => seed.received.length === 1, 'the seed to hear one of them')
})
