import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants, createZstdCompress } from 'node:zlib'
import test from 'ava'
import { chunkIdOf } from '../../src/image/ids.ts'
import { encodeFrame, plainFrame } from '../../src/image/frames.ts'
import { Verifier } from '../../src/image/verifier.ts'
import type { Frame } from '../../src/base/index.ts'

const KiB = 1024

function received(verifier: Verifier, frame: Frame) {
  const incoming = verifier.begin(frame.encoding, frame.bytes.length, frame.plainLength)
  incoming.frame.bytes.set(frame.bytes)
  return incoming
}

test('frames of all sizes come back as the bytes that they hold', async t => {
  const verifier = new Verifier()
  t.teardown(() => verifier.close())
  const plains = [1, 512, 64 * KiB, 64 * KiB + 1, 300 * KiB].map(length =>
    Buffer.concat([randomBytes(Math.ceil(length / 3)), Buffer.alloc(length)]).subarray(0, length)
  )
  const frames = await Promise.all(plains.map(plain => encodeFrame(plain)))
  t.true(frames.some(({ encoding }) => encoding === 'zstd'))
  const checked = frames.map(async (frame, index) => {
    const plain = plains[index] ?? Buffer.alloc(0)
    const incoming = received(verifier, frame)
    t.is(Buffer.compare(await verifier.verify(chunkIdOf(plain), incoming), plain), 0)
    verifier.release(incoming)
  })
  await Promise.all(checked)
})

test('whatever is wrong with a frame, it is corrupt, and the next one is not', async t => {
  const verifier = new Verifier()
  t.teardown(() => verifier.close())
  const plain = Buffer.alloc(100 * KiB, 'chunk ')
  const good = await encodeFrame(plain)
  const id = chunkIdOf(plain)
  const damaged = { ...good, bytes: Uint8Array.from(good.bytes) }
  damaged.bytes.fill(0, damaged.bytes.length / 2)
  const bad: readonly Frame[] = [
    damaged,
    { ...good, plainLength: plain.length - 1 },
    { ...good, plainLength: plain.length + 1 },
    { ...good, bytes: randomBytes(good.bytes.length) },
    plainFrame(Buffer.alloc(plain.length))
  ]
  for (const frame of bad) {
    await t.throwsAsync(verifier.verify(id, received(verifier, frame)), {
      code: 'ERR_CHUNK_CORRUPT'
    })
    t.is((await verifier.verify(id, received(verifier, good))).length, plain.length)
  }
})

test('a frame that is cut off, or followed by another, is corrupt', async t => {
  const verifier = new Verifier()
  t.teardown(() => verifier.close())
  const plain = Buffer.concat([Buffer.alloc(50 * KiB, 'chunk '), randomBytes(20 * KiB)])
  const good = await encodeFrame(plain)
  const id = chunkIdOf(plain)
  const lengths = [1, 3, 10, good.bytes.length >> 1, good.bytes.length - 1]
  const more = [good.bytes, (await encodeFrame(Buffer.alloc(5_000))).bytes, Buffer.alloc(1)]
  const bad = [
    ...lengths.map(length => good.bytes.subarray(0, length)),
    ...more.map(bytes => Buffer.concat([good.bytes, bytes]))
  ]
  for (const bytes of bad) {
    await t.throwsAsync(
      verifier.verify(id, received(verifier, { ...good, bytes })),
      { code: 'ERR_CHUNK_CORRUPT' },
      `${bytes.length} bytes`
    )
    t.is((await verifier.verify(id, received(verifier, good))).length, plain.length)
  }
})

/** As zlib makes it that is told neither how much comes nor when it ends: its last block is empty. */
async function withEmptyEnd(plain: Uint8Array, params: Record<number, number>): Promise<Buffer> {
  const engine = createZstdCompress({ params })
  const pieces: Buffer[] = []
  engine.on('data', (piece: Buffer) => pieces.push(piece))
  engine.write(plain)
  await new Promise<void>(resolve => engine.flush(resolve))
  engine.end()
  await once(engine, 'end')
  return Buffer.concat(pieces)
}

test('a frame of any shape is checked, and one that has said all and not ended is corrupt', async t => {
  const verifier = new Verifier()
  t.teardown(() => verifier.close())
  const plain = Buffer.concat([Buffer.alloc(200 * KiB, 'chunk '), randomBytes(20 * KiB)])
  const id = chunkIdOf(plain)
  const good = await encodeFrame(plain)
  for (const checksum of [0, 1]) {
    const bytes = await withEmptyEnd(plain, { [constants.ZSTD_c_checksumFlag]: checksum })
    const whole = received(verifier, { ...good, bytes })
    t.is(Buffer.compare(await verifier.verify(id, whole), plain), 0)
    const unfinished = { ...good, bytes: bytes.subarray(0, -3 - 4 * checksum) }
    await t.throwsAsync(verifier.verify(id, received(verifier, unfinished)), {
      code: 'ERR_CHUNK_CORRUPT'
    })
    t.is((await verifier.verify(id, received(verifier, good))).length, plain.length)
  }
})

test('what skips over something before the frame is corrupt, however its lengths add up', async t => {
  const verifier = new Verifier()
  t.teardown(() => verifier.close())
  const plain = Buffer.alloc(100 * KiB, 'chunk ')
  const good = await encodeFrame(plain)
  const skipped = Buffer.from('502a4d1808000000000000000000000000', 'hex').subarray(0, 16)
  const bytes = Buffer.concat([skipped, good.bytes])
  await t.throwsAsync(verifier.verify(chunkIdOf(plain), received(verifier, { ...good, bytes })), {
    code: 'ERR_CHUNK_CORRUPT'
  })
})

test('released memory is used again, and is bounded', t => {
  const verifier = new Verifier()
  const first = verifier.begin('plain', 4096, 4096)
  verifier.release(first)
  const second = verifier.begin('zstd', 100, 4096)
  t.is(second.memory, first.memory)
  const large = Array.from({ length: 8 }, () => verifier.begin('plain', 4096 * KiB, 4096 * KiB))
  for (const incoming of large) verifier.release(incoming)
  const again = large.map(() => verifier.begin('plain', 4096 * KiB, 4096 * KiB).memory)
  t.true(again.filter(memory => large.some(old => old.memory === memory)).length < large.length)
})
