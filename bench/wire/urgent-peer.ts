import { signingKeyFromSeed, silentLogger, systemClock } from '../../src/base/index.ts'
import { plainFrame } from '../../src/image/index.ts'
import { makeSendWindow, Serving, tickMs } from '../../src/scheduler/index.ts'
import { Uploads } from '../../src/swarm/index.ts'
import { startSwarm } from './product.ts'
import { chunkAt, imageOf } from './urgent-image.ts'

// A machine that has the image: node urgent-peer.ts LAB CHUNKS ADDRESS

const [lab = '', chunks = '', host = ''] = process.argv.slice(2)
const { positions } = imageOf(Number(chunks))
const uploads = new Uploads({
  policy: new Serving('agent'),
  window: makeSendWindow(),
  source: {
    holding: id => (positions.has(id) ? 'held' : 'absent'),
    load: id => {
      const position = positions.get(id)
      return Promise.resolve(position === undefined ? undefined : plainFrame(chunkAt(position)))
    }
  },
  clock: systemClock,
  logger: silentLogger,
  addressOf: () => undefined
})
setInterval(() => uploads.writable(), tickMs)
const handlers = {
  onPeer: () => {},
  onWritable: () => uploads.writable(),
  onGone: () => {},
  onMessage: (link, message) => {
    if (message.type === 'want') uploads.want(link, message)
    else if (message.type === 'got') uploads.got(link, message.request)
    else if (message.type === 'cancel') uploads.cancel(link, message.request)
  }
} satisfies Parameters<typeof startSwarm>[3]
const key = signingKeyFromSeed(Buffer.from(lab, 'hex'))
const swarm = await startSwarm(key, 'agent', 'tls', handlers, [`/ip4/${host}/tcp/0`])
const [address] = swarm.addresses()
console.log(JSON.stringify({ event: 'serving', peerId: swarm.peerId, address }))
