import { setTimeout as sleep } from 'node:timers/promises'
import { Items } from '../../src/agent/items.ts'
import type { ImagePlace } from '../../src/agent/image-place.ts'
import { Traffic } from '../../src/agent/traffic.ts'
import { Transfer } from '../../src/agent/transfer.ts'
import { signingKeyFromSeed, silentLogger, systemRandom } from '../../src/base/index.ts'
import { Downloads, type Link, type PeerAddress } from '../../src/swarm/index.ts'
import { startSwarm } from './product.ts'
import { imageOf } from './urgent-image.ts'

// The machine that reads: the product's transfer and scheduler over real links, with a disk that
// takes everything at once. node urgent-reader.ts JSON

interface Task {
  readonly lab: string
  readonly chunks: number
  readonly reads: number
  readonly peers: readonly PeerAddress[]
}

const { lab, chunks, reads, peers } = JSON.parse(process.argv[2] ?? '') as Task
const { manifest } = imageOf(chunks)
const items = new Items(manifest)

/** What is read is of a part that the background leaves alone. */
const firstRead = chunks - 2 * reads
const placed = new Set<number>()
const awaited = new Map<number, () => void>()
const disk: ImagePlace = {
  needs: position => (position < firstRead ? !placed.has(position) : awaited.has(position)),
  place: position => {
    placed.add(position)
    awaited.get(position)?.()
    awaited.delete(position)
    return Promise.resolve(true)
  },
  placeZero: () => {},
  servable: () => false,
  bitfield: () => new Uint8Array(Math.ceil(chunks / 8)),
  pristine: () => Promise.resolve(undefined),
  distrust: () => Promise.resolve(),
  keepManifestBlock: () => Promise.resolve(),
  manifestBlock: () => Promise.resolve(undefined)
}

const traffic = new Traffic()
const downloads: Downloads = new Downloads({
  onAccepted: (link, id, waiting) => transfer.accepted(link, id, waiting),
  onProgress: (link, id, bytes) => transfer.progress(link, id, bytes),
  onRefused: (link, id, reason) => transfer.refused(link, id, reason),
  onRedirected: (link, id, to) => transfer.redirected(link, id, to),
  onArrived: (link, id, plain, frame) => transfer.arrived(link, id, plain, frame),
  onCorrupt: (_link, _id, error) => {
    throw error
  }
})
const key = signingKeyFromSeed(Buffer.from(lab, 'hex'))
const swarm = await startSwarm(key, 'agent', 'tls', {
  onPeer: () => {},
  onWritable: () => {},
  onGone: () => process.exit(1),
  onMessage: (link: Link, message) => {
    transfer.apply({ type: 'heard', peer: link.peerId })
    switch (message.type) {
      case 'accept':
      case 'give':
      case 'frame':
      case 'segment':
      case 'refuse':
      case 'redirect':
        downloads.receive(link, message)
    }
  }
})
const transfer: Transfer = new Transfer({
  self: swarm.peerId,
  items,
  disk,
  traffic,
  network: {
    downloads,
    link: peerId => swarm.link(peerId),
    connect: () => Promise.reject(new Error('everybody is here')),
    relay: () => {},
    promised: () => {},
    abandoned: () => {}
  },
  random: systemRandom,
  logger: silentLogger,
  localPlain: () => Promise.resolve(undefined),
  onPage: () => {},
  onRead: () => {},
  onDiskError: error => {
    throw error
  },
  onArrival: () => {}
})
for (const peer of peers) {
  await swarm.connect(peer)
  transfer.apply({ type: 'peer', peer: peer.peerId, role: 'agent' })
  transfer.apply({ type: 'has-all', peer: peer.peerId })
}

let next = firstRead
const idleMs = await measure(() => 50 + Math.random() * 50)
const before = { bytes: traffic.bytesFromPeers, ms: performance.now() }
transfer.start()
await sleep(3_000)
// The background stands still for 300 ms after a read: each meets it at full speed again.
const busyMs = await measure(() => 400 + Math.random() * 400)
const bits = (traffic.bytesFromPeers - before.bytes) * 8
const backgroundMbit = bits / 1e3 / (performance.now() - before.ms)
if (!Array.from({ length: firstRead }, (_, n) => n).some(position => disk.needs(position))) {
  throw new Error('the background was done before the reads were')
}
console.log(JSON.stringify({ event: 'measured', idleMs, busyMs, backgroundMbit }))
process.exit()

async function measure(pauseMs: () => number): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < reads; n += 1) {
    await sleep(pauseMs())
    const position = next++
    const begin = performance.now()
    await new Promise<void>(resolve => {
      awaited.set(position, resolve)
      transfer.need(position, 'read')
    })
    times.push(performance.now() - begin)
  }
  return times
}
