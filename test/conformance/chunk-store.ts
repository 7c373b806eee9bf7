import type { ExecutionContext, TestFn } from 'ava'
import fc from 'fast-check'
import type { ChunkId, ChunkStore, Frame } from '../../src/base/index.ts'
import { chunkIdOf, decodeFrame, encodeFrame, plainFrame } from '../../src/image/index.ts'
import { noise } from '../helpers/image-files.ts'

/** Makes an empty store, and cleans up after the test. */
export type MakeChunkStore = (t: ExecutionContext) => Promise<ChunkStore>

/** What every `ChunkStore` promises (base/contracts.ts). */
export function chunkStoreSuite(test: TestFn, make: MakeChunkStore): void {
  test('chunk store: holds nothing at first', async t => {
    const store = await make(t)
    const id = chunkIdOf(noise(100, 1))
    t.false(store.has(id))
    t.is(await store.get(id), undefined)
  })

  test('chunk store: gives back the frame that was put', async t => {
    const store = await make(t)
    for (const plain of [noise(5000, 1), Buffer.alloc(5000, 'text '), Buffer.alloc(0)]) {
      const id = chunkIdOf(plain)
      const frame = await encodeFrame(plain)
      await store.put(id, frame)
      t.true(store.has(id))
      sameFrame(t, await store.get(id), frame)
    }
  })

  test('chunk store: the first frame of a chunk stays', async t => {
    const store = await make(t)
    const plain = Buffer.alloc(4096, 'abc')
    const id = chunkIdOf(plain)
    const first = await encodeFrame(plain)
    await store.put(id, first)
    await store.put(id, plainFrame(plain))
    sameFrame(t, await store.get(id), first)
  })

  test('chunk store: takes many chunks at once, also the same one', async t => {
    const store = await make(t)
    const plains = Array.from({ length: 60 }, (_, index) => noise(1000 + index, index % 20))
    await Promise.all(plains.map(plain => store.put(chunkIdOf(plain), plainFrame(plain))))
    const read = await Promise.all(plains.map(plain => store.get(chunkIdOf(plain))))
    read.forEach((frame, index) => {
      sameFrame(t, frame, plainFrame(plains[index] ?? new Uint8Array()))
    })
  })

  test('chunk store: agrees with a Map over any history', async t => {
    const chunk = fc.record({
      seed: fc.nat(5),
      length: fc.integer({ min: 1, max: 3000 }),
      waits: fc.boolean()
    })
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 20 }), async history => {
        const store = await make(t)
        const model = new Map<ChunkId, Buffer>()
        const puts: Promise<void>[] = []
        for (const { seed, length, waits } of history) {
          const plain = noise(length, seed)
          const id = chunkIdOf(plain)
          const put = encodeFrame(plain).then(frame => store.put(id, frame))
          puts.push(put)
          if (waits) await put
          model.set(id, plain)
        }
        await Promise.all(puts)
        for (const [id, plain] of model) {
          const frame = await store.get(id)
          if (frame === undefined || !store.has(id)) return false
          if (!plain.equals(await decodeFrame(frame, plain.length))) return false
        }
        return true
      }),
      { numRuns: 10 }
    )
    t.pass()
  })
}

function sameFrame(t: ExecutionContext, actual: Frame | undefined, expected: Frame): void {
  t.is(actual?.encoding, expected.encoding)
  t.is(actual?.plainLength, expected.plainLength)
  t.true(Buffer.from(expected.bytes).equals(actual?.bytes ?? Buffer.alloc(0)))
}
