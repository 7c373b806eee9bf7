import test from 'ava'
import { silentLogger, type Frame } from '../../src/base/index.ts'
import { AsideArea } from '../../src/disk/aside.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { Metadata } from '../../src/disk/metadata.ts'
import { plainFrame } from '../../src/image/index.ts'
import { CrashingStorage } from './crashing-storage.ts'
import { labKey, sampleImage } from './samples.ts'

const image = sampleImage(1, 8 * 16384)
const journalBytes = 4 * 4096

/** Room for so many chunks. A frame is ready when `encoded` says so. */
async function areaFor(chunks: number) {
  const asideBytes = chunks * image.chunkSize
  const { totalBytes } = regionsOf(image, { journalBytes, asideBytes })
  const storage = new CrashingStorage(Buffer.alloc(totalBytes), { next: () => 0.5 })
  const fresh = { image, labKey, asideBytes, journalBytes, generation: 0, identity: undefined }
  const metadata = await Metadata.create(storage, fresh)
  const area = new AsideArea(metadata, silentLogger)
  await metadata.begin(
    () => ({
      map: new Uint8Array(8),
      zero: new Uint8Array(1),
      givenUp: new Uint8Array(1),
      touched: new Uint8Array(1),
      asides: area.entries
    }),
    () => Promise.resolve()
  )
  const refused: number[] = []
  const gate = Promise.withResolvers<void>()
  const bring = (position: number): void =>
    area.bring(position, {
      plain: image.chunk(position),
      encodeFrame: async plain => {
        await gate.promise
        return plainFrame(plain)
      },
      onRefused: () => refused.push(position)
    })
  return { area, bring, refused, encode: gate.resolve }
}

const holds = (frame: Frame | undefined, position: number): boolean =>
  frame !== undefined && image.chunk(position).equals(frame.bytes)

test('a chunk on its way is had at once, and lies in the area when it has settled', async t => {
  const { area, bring, encode } = await areaFor(4)
  for (const position of [3, 1]) bring(position)
  t.true(area.has(3))
  t.true(holds(await area.get(3), 3))
  t.deepEqual(area.entries, [], 'no checkpoint says so yet')
  encode()
  await area.settled()
  t.deepEqual(
    area.entries.map(({ position, page }) => [position, page]),
    [
      [3, 0],
      [1, 4]
    ]
  )
  for (const position of [3, 1]) t.true(holds(await area.get(position), position))
})

test('what does not fit is refused, the rest is not', async t => {
  const { area, bring, refused, encode } = await areaFor(2)
  for (const position of [5, 0, 2]) bring(position)
  encode()
  await area.settled()
  t.deepEqual(refused, [2])
  t.deepEqual(
    [5, 0, 2].map(position => area.has(position)),
    [true, true, false]
  )
  t.true(area.full)
})

test('what is forgotten on its way is not there afterwards, and may come anew', async t => {
  const { area, bring, refused, encode } = await areaFor(4)
  for (const position of [0, 1, 2]) bring(position)
  area.forget(1)
  area.forget(2)
  t.true(await area.put(2, plainFrame(image.chunk(2))))
  encode()
  await area.settled()
  t.deepEqual(
    [0, 1, 2].map(position => area.has(position)),
    [true, false, true]
  )
  t.deepEqual(refused, [])
  t.true(holds(await area.get(2), 2))
})

test('with too much on its way the next has to wait', async t => {
  const { area, bring, refused, encode } = await areaFor(4)
  t.is(area.crowded, undefined)
  const plain = Buffer.alloc(8 * 1024 * 1024)
  area.bring(0, {
    plain,
    encodeFrame: async () => {
      await new Promise(setImmediate)
      throw new Error('no memory')
    },
    onRefused: () => refused.push(0)
  })
  const wait = area.crowded
  t.not(wait, undefined)
  await wait
  t.is(area.crowded, undefined)
  t.false(area.has(0))
  t.deepEqual(refused, [0])
  bring(1)
  encode()
  await area.settled()
  t.true(area.has(1))
})
