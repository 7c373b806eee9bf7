import test from 'ava'
import { BootswarmError, seededRandom, silentLogger } from '../../src/base/index.ts'
import type { ImagePlace } from '../../src/agent/image-place.ts'
import { Traffic } from '../../src/agent/traffic.ts'
import { Transfer } from '../../src/agent/transfer.ts'
import { plainFrame } from '../../src/image/index.ts'
import { Downloads } from '../../src/swarm/downloads.ts'
import { until } from '../swarm/peers.ts'
import { FakeLink } from '../swarm/fake-link.ts'
import { chunkBytes, openDisk } from './samples.ts'

test('who reads a chunk that a full disk refuses just then has it asked for once more', async t => {
  const { disk, items } = await openDisk(t)
  const position = 5
  const seed = new FakeLink('seed')
  const refusal = Promise.withResolvers<boolean>()
  const downloads: Downloads = new Downloads({
    onAccepted: (link, id, waiting) => transfer.accepted(link, id, waiting),
    onProgress: (link, id, bytes) => transfer.progress(link, id, bytes),
    onRefused: (link, id, reason) => transfer.refused(link, id, reason),
    onRedirected: (link, id, to) => transfer.redirected(link, id, to),
    onArrived: (link, id, plain, frame) => transfer.arrived(link, id, plain, frame),
    onCorrupt: (_, id) => t.fail(id)
  })
  t.teardown(() => downloads.close())
  const isPlacing = Promise.withResolvers<void>()
  const full: ImagePlace = {
    needs: at => disk.needs(at),
    place() {
      isPlacing.resolve()
      return refusal.promise
    },
    placeZero: at => disk.placeZero(at),
    servable: at => disk.servable(at),
    bitfield: () => disk.bitfield(),
    pristine: at => disk.pristine(at),
    distrust: at => disk.distrust(at),
    keepManifestBlock: (id, block) => disk.keepManifestBlock(id, block),
    manifestBlock: id => disk.manifestBlock(id)
  }
  const transfer = new Transfer({
    self: 'self',
    items,
    disk: full,
    network: {
      downloads,
      link: () => seed.link,
      connect: () => Promise.resolve(),
      relay: () => {},
      promised: () => {},
      abandoned: () => {}
    },
    traffic: new Traffic(),
    random: seededRandom(1),
    logger: silentLogger,
    localPlain: () => Promise.resolve(undefined),
    onPage: () => {},
    onRead: () => {},
    onDiskError: () => {},
    onArrival: () => {}
  })
  t.teardown(() => transfer.stop())
  transfer.apply({ type: 'peer', peer: 'seed', role: 'seed' })
  transfer.apply({ type: 'has-all', peer: 'seed' })
  transfer.need(position, 'read')
  const [want] = seed.sentOf('want')
  const { request = 0 } = want ?? {}
  const { encoding, plainLength, bytes } = plainFrame(chunkBytes(position))
  const frameLength = bytes.length
  downloads.receive(seed.link, { type: 'accept', request, waiting: false })
  downloads.receive(seed.link, { type: 'frame', request, encoding, frameLength, plainLength })
  downloads.receive(seed.link, { type: 'segment', request, bytes })
  await isPlacing.promise
  // Somebody else comes to read it, while the disk is about to say no.
  transfer.need(position, 'read')
  refusal.reject(new BootswarmError('ERR_DISK_FULL', 'the disk is full'))
  await until(() => seed.sentOf('want').length > 1, 'it is asked for again')
  t.is(seed.sentOf('want').at(-1)?.id, want?.id)
})
