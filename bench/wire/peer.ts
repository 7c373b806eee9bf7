import { constants, createZstdDecompress } from 'node:zlib'
import { limits } from '../../src/base/index.ts'
import { fetchBare, serveBare } from './bare.ts'
import { makeFrames, type FrameKind } from './frames.ts'
import type { FromPeer, ToPeer } from './messages.ts'
import { gather, type CrowdAgent } from './crowd-agent.ts'
import { fetchProduct, serveProduct } from './product.ts'
import { usage } from './usage.ts'

// One of the bench's two processes; the parent tells it what to be.

let crowd: readonly CrowdAgent[] = []

process.on('message', (message: ToPeer) => {
  obey(message).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit())

async function obey(message: ToPeer): Promise<void> {
  switch (message.say) {
    case 'serve': {
      const frames = await makeFrames(message.task.frames)
      if (message.task.transport !== 'bare') {
        const address = await serveProduct(frames, message.task.transport)
        tell({ say: 'serving', address })
        return
      }
      const port = await serveBare([...frames.values()])
      const address = { peerId: '', addresses: [String(port)], ids: [], labSeed: '' }
      tell({ say: 'serving', address })
      return
    }
    case 'fetch': {
      const { task, address } = message
      if (task.transport === 'bare') {
        await fetchBare(Number(address.addresses[0]), limits.chunkBytesDefault, task.depth)
      } else await fetchProduct(address, task)
      tell({ say: 'fetching' })
      return
    }
    case 'gather':
      crowd = await gather(message.count, message.address)
      tell({ say: 'gathered' })
      return
    case 'connect':
      await Promise.all(crowd.map(agent => agent.connect()))
      tell({ say: 'connected' })
      return
    case 'fetchAll':
      for (const agent of crowd) agent.ask()
      tell({ say: 'fetching' })
      return
    case 'usage':
      tell({ say: 'usage', usage: usage() })
      return
    case 'decode':
      tell({ say: 'decoded', cpuSecondsPerByte: await decodingCost(message.frames) })
  }
}

/** What Node has of a decoder and does not document; image/verify-worker.js uses it in the same way. */
interface Decoder {
  writeSync(...step: readonly [number, ...(Uint8Array | number)[]]): void
}

/** What zstd alone takes for the same frames, on this machine in this minute. */
async function decodingCost(kind: FrameKind): Promise<number> {
  const frames = [...(await makeFrames(kind)).values()].filter(
    ({ encoding }) => encoding === 'zstd'
  )
  if (frames.length === 0) return 0
  const engine = createZstdDecompress()
  const { _handle: decoder } = engine as unknown as { _handle: Decoder }
  const plain = Buffer.alloc(limits.chunkBytesDefault)
  let plainBytes = 0
  const begin = process.cpuUsage()
  const end = performance.now() + 1_000
  while (performance.now() < end) {
    for (const { bytes, plainLength } of frames) {
      decoder.writeSync(constants.ZSTD_e_end, bytes, 0, bytes.length, plain, 0, plainLength)
      plainBytes += plainLength
    }
  }
  const { user, system } = process.cpuUsage(begin)
  return (user + system) / 1e6 / plainBytes
}

function tell(message: FromPeer): void {
  process.send?.(message)
}
