import { randomBytes } from 'node:crypto'
import test from 'ava'
import { generateSigningKey, limits, silentLogger, systemClock } from '../../src/base/index.ts'
import { chunkIdOf, plainFrame } from '../../src/image/index.ts'
import { Downloads } from '../../src/swarm/downloads.ts'
import type { Link } from '../../src/swarm/link.ts'
import { Uploads } from '../../src/swarm/uploads.ts'
import { startPeer, until } from './peers.ts'

// Two real nodes on loopback, where nothing but the rate is in the way.

const lab = generateSigningKey()
const frames = Array.from({ length: 48 }, () => plainFrame(randomBytes(limits.chunkBytesDefault)))
const byId = new Map(frames.map(frame => [chunkIdOf(frame.bytes), frame]))
const totalBytes = frames.length * limits.chunkBytesDefault
const bytesPerSecond = 3_000_000

for (const limited of ['upload', 'download'] as const) {
  test(`with an ${limited} rate no more than that passes, all of it arrives, and the link lives`, async t => {
    const server = await startPeer(t, { lab, role: 'seed' })
    const uploads = new Uploads({
      policy: {
        decide: () => ({ kind: 'send' }),
        sent: () => {},
        dropped: () => {},
        holds: () => {},
        gone: () => {}
      },
      source: {
        holding: id => (byId.has(id) ? 'held' : 'absent'),
        load: async id => byId.get(id)
      },
      clock: systemClock,
      logger: silentLogger,
      addressOf: () => undefined,
      ...(limited === 'upload' && { bytesPerSecond })
    })
    server.onMessage = (link, message) => {
      if (message.type === 'want') uploads.want(link, message)
      if (message.type === 'got') uploads.got(link, message.request)
    }
    server.onWritable = () => uploads.writable()
    const asker = await startPeer(t, { lab })
    let arrived = 0
    const downloads = new Downloads(
      {
        onAccepted: () => {},
        onProgress: () => {},
        onRefused: () => t.fail('refused'),
        onRedirected: () => {},
        onCorrupt: () => t.fail('corrupt'),
        onArrived: () => void (arrived += 1)
      },
      limited === 'download' ? bytesPerSecond : undefined
    )
    t.teardown(() => downloads.close())
    asker.onMessage = (from, message) => {
      if (['accept', 'frame', 'segment', 'refuse'].includes(message.type)) {
        downloads.receive(from, message as Parameters<typeof downloads.receive>[1])
      }
    }
    const link: Link = await asker.swarm.connect(server.address)
    const begin = systemClock.now()
    for (const id of byId.keys()) {
      const options = { insist: false, plainLengthMax: limits.chunkBytesDefault }
      downloads.request(link, id, 'background', options)
    }
    await until(() => arrived === frames.length, 'all chunks')
    const seconds = (systemClock.now() - begin) / 1000
    // What is saved up may go at once, and the last piece: nothing else may be faster than the rate.
    t.true(seconds >= (totalBytes / bytesPerSecond) * 0.9, `${seconds} s`)
    t.false(link.closed)
    t.true(systemClock.now() - link.heardAt < limits.peerSilentMs)
  })
}
