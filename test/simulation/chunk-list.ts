import { parseArgs } from 'node:util'
import type { ChunkId, ChunkStore } from '../../src/base/index.ts'
import { imageCidText, readManifest, sourceOf, zeroId } from '../../src/image/index.ts'
import { openStore } from '../../src/store/index.ts'
import type { ChunkList } from './sim-image.ts'

// node test/simulation/chunk-list.ts --store DIR --name NAME > chunks.json      (docs/simulator.md)

/** The chunks of an image that a store holds, with the size of each one's frame. */
export async function chunkListOf(store: ChunkStore, imageId: ChunkId): Promise<ChunkList> {
  const manifest = await readManifest(imageId, sourceOf(store))
  const { chunkCount, chunkSize } = manifest.root
  const frameBytes = new Map<ChunkId, number>()
  const chunks: [number, number, string][] = []
  for (let position = 0; position < chunkCount; position += 1) {
    const id = manifest.chunkIdAt(position)
    if (id === undefined || id === zeroId) continue
    const bytes = frameBytes.get(id) ?? (await store.get(id))?.bytes.length
    if (bytes === undefined) throw new Error(`the store lacks the chunk at ${position}`)
    frameBytes.set(id, bytes)
    chunks.push([position, bytes, id])
  }
  return { image: imageCidText(imageId), chunkBytes: chunkSize, chunks }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { store: { type: 'string' }, name: { type: 'string' } }
  })
  if (values.store === undefined || values.name === undefined) {
    throw new Error('--store DIR and --name NAME say which image to list')
  }
  const store = await openStore(values.store)
  try {
    const image = store.resolve(values.name)
    if (image === undefined) throw new Error(`${values.store} has no image ${values.name}`)
    process.stdout.write(`${JSON.stringify(await chunkListOf(store, image.imageId))}\n`)
  } finally {
    await store.close()
  }
}

if (import.meta.main) await main()
