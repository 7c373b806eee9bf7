import { randomBytes } from 'node:crypto'
import test from 'ava'
import { limits } from '../../src/base/index.ts'
import { FrameEncoder } from '../../src/image/frame-encoder.ts'
import { decodeFrame } from '../../src/image/frames.ts'

const KiB = 1024

test('frames of all sizes decode to what they were made of; what does not shrink stays plain', async t => {
  const encoder = new FrameEncoder()
  t.teardown(() => encoder.close())
  // More at once than there is memory for, the largest last.
  const lengths = [1, 512, 16 * KiB, 64 * KiB + 1, 128 * KiB, 128 * KiB, 700 * KiB, 4096 * KiB]
  const work = lengths.flatMap(length => {
    const noise = randomBytes(length)
    const text = Buffer.alloc(length, 'a lab of machines ')
    const mixed = Buffer.concat([noise.subarray(0, length / 2), text]).subarray(0, length)
    return [noise, text, mixed].map(async plain => {
      const { encoding, decoded } = await encoder.encode(plain, frame => ({
        encoding: frame.encoding,
        decoded: decodeFrame({ ...frame, bytes: Uint8Array.from(frame.bytes) }, length)
      }))
      if (length >= 512) t.is(encoding, plain === noise ? 'plain' : 'zstd', `${length}`)
      t.is(Buffer.compare(await decoded, plain), 0, `${length}`)
    })
  })
  t.true(work.length > limits.encodesParallel)
  await Promise.all(work)
})

test('a chunk that did not fit into its frame leaves nothing behind for the next', async t => {
  const encoder = new FrameEncoder()
  t.teardown(() => encoder.close())
  const text = Buffer.alloc(64 * KiB, 'a lab of machines ')
  const sizes: number[] = []
  for (const plain of [text, randomBytes(64 * KiB), text, randomBytes(300 * KiB), text]) {
    const decoded = await encoder.encode(plain, frame => {
      sizes.push(frame.bytes.length)
      return decodeFrame({ ...frame, bytes: Uint8Array.from(frame.bytes) }, plain.length)
    })
    t.is(Buffer.compare(decoded, plain), 0)
  }
  t.is(sizes[2], sizes[0])
  t.is(sizes[4], sizes[0])
})

test('what `take` throws is the caller’s, and the next frame is not hurt by it', async t => {
  const encoder = new FrameEncoder()
  t.teardown(() => encoder.close())
  const plain = Buffer.alloc(16 * KiB, 'text')
  for (let n = 0; n < 2 * limits.encodesParallel; n += 1) {
    const failing = encoder.encode(plain, () => {
      throw new Error('not taken')
    })
    await t.throwsAsync(failing, { message: 'not taken' })
  }
  t.true((await encoder.encode(plain, frame => frame.bytes.length)) < 200)
})

test('it keeps nobody alive and begins no thread before it is needed', async t => {
  const encoder = new FrameEncoder()
  await t.notThrowsAsync(encoder.close())
})
