import {
  generateSigningKey,
  limits,
  signingKeyFromSeed,
  silentLogger,
  systemClock,
  type ChunkId,
  type Frame,
  type SigningKey
} from '../../src/base/index.ts'
import { makeSendWindow } from '../../src/scheduler/index.ts'
import { issueCertificate, Downloads, Swarm, Uploads, type Link } from '../../src/swarm/index.ts'
import type { SwarmHandlers } from '../../src/swarm/index.ts'
import type { ServerAddress, Task, Transport } from './messages.ts'
import { counted } from './usage.ts'

// The swarm as the product has it: uploads from memory on one side, downloads that are decoded and
// hashed on the other. Nothing is written to a disk.

export async function serveProduct(
  frames: ReadonlyMap<ChunkId, Frame>,
  transport: Transport
): Promise<ServerAddress> {
  const lab = generateSigningKey()
  const uploads = new Uploads({
    policy: {
      decide: () => ({ kind: 'send' }),
      sent: () => {},
      dropped: () => {},
      holds: () => {},
      gone: () => {}
    },
    window: makeSendWindow(),
    source: {
      holding: id => (frames.has(id) ? 'held' : 'absent'),
      load: async id => {
        const frame = frames.get(id)
        counted.frameBytes += frame?.bytes.length ?? 0
        return frame
      }
    },
    clock: systemClock,
    logger: silentLogger,
    addressOf: () => undefined
  })
  const swarm = await startSwarm(lab, 'seed', transport, {
    onPeer: () => {},
    onWritable: () => uploads.writable(),
    onGone: link => uploads.gone(link),
    onMessage: (link, message) => {
      if (message.type === 'want') uploads.want(link, message)
      else if (message.type === 'got') uploads.got(link, message.request)
    }
  })
  return {
    peerId: swarm.peerId,
    addresses: swarm.addresses(),
    ids: [...frames.keys()],
    labSeed: Buffer.from(lab.seed).toString('hex')
  }
}

export async function fetchProduct(address: ServerAddress, task: Task): Promise<void> {
  const lab = signingKeyFromSeed(Buffer.from(address.labSeed, 'hex'))
  let next = 0
  const options = { insist: false, plainLengthMax: limits.chunkBytesDefault }
  const ask = (link: Link): void => {
    const id = address.ids[next++ % address.ids.length] ?? ''
    downloads.request(link, id, 'background', options)
  }
  const downloads: Downloads = new Downloads({
    onAccepted: () => {},
    onProgress: () => {},
    onRefused: (link, id) => downloads.request(link, id, 'background', options),
    onRedirected: () => {},
    onCorrupt: (_, __, error) => {
      throw error
    },
    onArrived: (link, _, plain, frame) => {
      counted.frameBytes += frame.bytes.length
      counted.plainBytes += plain.length
      ask(link)
    }
  })
  const swarm = await startSwarm(lab, 'agent', task.transport, {
    onPeer: () => {},
    onWritable: () => {},
    onGone: () => process.exit(1),
    onMessage: (link, message) => {
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
  const link = await swarm.connect(address)
  for (let n = 0; n < task.depth; n += 1) ask(link)
}

export async function startSwarm(
  lab: SigningKey,
  role: 'seed' | 'agent',
  transport: Transport,
  handlers: SwarmHandlers,
  listen = role === 'seed' ? ['/ip4/127.0.0.1/tcp/0'] : []
): Promise<Swarm> {
  const swarm = await Swarm.start({
    key: generateSigningKey(),
    labKey: lab.publicKey,
    listen,
    logger: silentLogger,
    handlers,
    encryption: transport === 'noise' ? 'noise' : 'any'
  })
  swarm.certificate = issueCertificate(lab, { peerId: swarm.peerId, role, name: 'bench' })
  return swarm
}
