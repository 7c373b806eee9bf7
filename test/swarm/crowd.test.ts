import test from 'ava'
import { generateSigningKey, limits } from '../../src/base/index.ts'
import { startPeer, until } from './peers.ts'

// A room that is switched on: everybody dials one seed at once, and then nobody says anything.
// BOOTSWARM_SOAK=1 makes it a thousand machines; it then takes a minute.

const lab = generateSigningKey()
const machines = process.env.BOOTSWARM_SOAK === '1' ? 1_000 : 50

test(`${machines} machines that dial at once are all let in, and none is lost while all are idle`, async t => {
  t.timeout(600_000)
  const seed = await startPeer(t, { lab, role: 'seed' })
  const peers = []
  for (let n = 0; n < machines; n += 1) peers.push(await startPeer(t, { lab, name: `pc-${n}` }))
  let refused = 0
  await Promise.all(
    peers.map(async ({ swarm }) => {
      // One process does the work of a whole room here, so that a dial may be late; it is made again.
      for (let left = 100; left > 0; left -= 1) {
        const link = await swarm.connect(seed.address).catch(() => undefined)
        if (link !== undefined) return
        refused += 1
      }
    })
  )
  await until(() => seed.swarm.links().length === machines, 'a link to each')
  t.log(`${refused} dials were made again`)
  await new Promise(resolve => setTimeout(resolve, 2 * limits.pingIntervalMs))
  t.is(seed.swarm.links().length, machines)
  t.true(peers.every(peer => peer.swarm.link(seed.swarm.peerId)?.closed === false))
  peers[0]?.swarm.link(seed.swarm.peerId)?.send({ type: 'ping', nonce: 7 })
  await until(() => seed.received.length === 1, 'the seed to hear one of them')
})
