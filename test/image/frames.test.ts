import { zstdCompressSync } from 'node:zlib'
import test from 'ava'
import fc from 'fast-check'
import type { Frame } from '../../src/base/index.ts'
import { BootswarmError } from '../../src/base/index.ts'
import { decodeFrame, encodeFrame, plainFrame, verifiedPlain } from '../../src/image/frames.ts'
import { chunkIdOf } from '../../src/image/ids.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { noise } from '../helpers/image-files.ts'

const lengthMax = 64 * 1024

test('a frame that was made fast holds the same bytes', async t => {
  const plain = Buffer.concat([
    Buffer.alloc(60_000, 'some text, again and again; '),
    noise(9_000, 1)
  ])
  const frame = await encodeFrame(plain, 'fast')
  t.is(frame.encoding, 'zstd')
  t.deepEqual(Buffer.from(await decodeFrame(frame, plain.length)), plain)
})

test('frames give back what was put into them', async t => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.nat(12), async (part, repeats) => {
      const plain = Buffer.concat(new Array<Uint8Array>(repeats + 1).fill(part))
      const frame = await encodeFrame(plain)
      return plain.equals(await decodeFrame(frame, lengthMax))
    }),
    { numRuns: 50 }
  )
  t.pass()
})

test('text is compressed, noise stays plain', async t => {
  const text = await encodeFrame(Buffer.alloc(lengthMax, 'share the load '))
  t.is(text.encoding, 'zstd')
  t.true(text.bytes.length < 1000)
  const plain = noise(lengthMax, 7)
  const frame = await encodeFrame(plain)
  t.is(frame.encoding, 'plain')
  plain.fill(0)
  t.deepEqual(Buffer.from(frame.bytes), noise(lengthMax, 7), 'a frame owns its bytes')
})

test('a frame is refused that is longer than allowed, or than it says', async t => {
  const plain = Buffer.alloc(lengthMax, 'x')
  const frame = await encodeFrame(plain)
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', decodeFrame(frame, lengthMax - 1))
  for (const plainLength of [lengthMax - 1, lengthMax + 1, 0, -1, 0.5, Number.NaN]) {
    await rejectsWith(t, 'ERR_CHUNK_CORRUPT', decodeFrame({ ...frame, plainLength }, 2 * lengthMax))
  }
  const stated = { ...plainFrame(plain), plainLength: 10 }
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', decodeFrame(stated, lengthMax))
})

test('a bomb is refused before it fills memory', async t => {
  const bytes = zstdCompressSync(Buffer.alloc(256 * 1024 * 1024))
  const before = process.memoryUsage().arrayBuffers
  const bomb: Frame = { encoding: 'zstd', plainLength: lengthMax, bytes }
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', decodeFrame(bomb, lengthMax))
  t.true(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024)
})

test('any bytes in a frame decode, or are refused as corrupt', async t => {
  const valid = zstdCompressSync(Buffer.alloc(1000, 'abc'))
  const damaged = fc
    .tuple(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }))
    .map(([at, flip]) =>
      Buffer.from(valid.map((byte, index) => (index === at ? byte ^ flip : byte)))
    )
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array(), damaged),
      fc.nat(2000),
      async (bytes, plainLength) => {
        try {
          const plain = await decodeFrame({ encoding: 'zstd', plainLength, bytes }, 2000)
          return plain.length === plainLength
        } catch (error) {
          return error instanceof BootswarmError && error.code === 'ERR_CHUNK_CORRUPT'
        }
      }
    )
  )
  t.pass()
})

test('verified bytes are those that were asked for', async t => {
  const plain = noise(4096, 3)
  const frame = await encodeFrame(plain)
  t.deepEqual(Buffer.from(await verifiedPlain(chunkIdOf(plain), frame, 4096)), plain)
  const other = chunkIdOf(noise(4096, 4))
  await rejectsWith(t, 'ERR_CHUNK_CORRUPT', verifiedPlain(other, frame, 4096))
})
