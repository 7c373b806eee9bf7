import { zstdDecompressSync } from 'node:zlib'
import { fetchBare, serveBare } from './bare.ts'
import { makeFrames, type FrameKind } from './frames.ts'
import type { FromPeer, ToPeer } from './messages.ts'
import { fetchProduct, serveProduct } from './product.ts'
import { usage } from './usage.ts'

// One of the bench's two processes; the parent tells it what to be.

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
        await fetchBare(Number(address.addresses[0]), 128 * 1024, task.depth)
      } else await fetchProduct(address, task)
      tell({ say: 'fetching' })
      return
    }
    case 'usage':
      tell({ say: 'usage', usage: usage() })
      return
    case 'decode':
      tell({ say: 'decoded', cpuSecondsPerByte: await decodingCost(message.frames) })
  }
}

/** What zstd alone takes for the same frames, on this machine in this minute. */
async function decodingCost(kind: FrameKind): Promise<number> {
  const frames = [...(await makeFrames(kind)).values()].filter(
    ({ encoding }) => encoding === 'zstd'
  )
  if (frames.length === 0) return 0
  let plainBytes = 0
  const begin = process.cpuUsage()
  const end = performance.now() + 1_000
  while (performance.now() < end) {
    for (const { bytes, plainLength } of frames) {
      zstdDecompressSync(bytes, { chunkSize: plainLength + 1024, maxOutputLength: plainLength })
      plainBytes += plainLength
    }
  }
  const { user, system } = process.cpuUsage(begin)
  return (user + system) / 1e6 / plainBytes
}

function tell(message: FromPeer): void {
  process.send?.(message)
}
