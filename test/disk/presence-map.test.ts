import test from 'ava'
import fc from 'fast-check'
import { blockStates, masks, PresenceMap } from '../../src/disk/presence-map.ts'
import type { BlockState } from '../../src/disk/presence-map.ts'

const gigabyte = 1e9

function layout(size: number, chunkSize = 16384) {
  return { imageId: '', size, chunkSize, chunkCount: Math.ceil(size / chunkSize) }
}

test('the map of a 100 GB image takes less than 16 MB', t => {
  const map = new PresenceMap(layout(100 * gigabyte, 131072))
  t.true(map.bytes.length < 16e6)
  t.is(map.writtenBytes, 0)
})

test('it answers as an array of states would', t => {
  const size = 10 * 16384 + 4096 + 512
  const blockCount = 42
  const marks = fc.array(
    fc.record({
      block: fc.nat({ max: blockCount - 1 }),
      count: fc.nat({ max: 20 }),
      from: fc.integer({ min: 0, max: 15 }),
      to: fc.constantFrom(...Object.values(blockStates))
    })
  )
  fc.assert(
    fc.property(marks, fc.integer({ min: 1, max: 15 }), (list, mask) => {
      const map = new PresenceMap(layout(size))
      const model = new Array<BlockState>(blockCount).fill(0)
      for (const { block, count: wanted, from, to } of list) {
        const count = Math.min(wanted, blockCount - block)
        map.mark(block, count, from, to)
        for (let index = block; index < block + count; index++) {
          if (((1 << (model[index] ?? 0)) & from) !== 0) model[index] = to
        }
      }
      const copy = new PresenceMap(layout(size), map.bytes)
      for (const subject of [map, copy]) {
        t.deepEqual(
          Array.from(model, (_, block) => subject.stateOf(block)),
          model
        )
        const written = model.flatMap((state, block) => (state >= 2 ? [block] : []))
        const short = written.includes(blockCount - 1) ? 4096 - 512 : 0
        t.is(subject.writtenBytes, written.length * 4096 - short)
      }
      const matching = model.flatMap((state, block) => (((1 << state) & mask) !== 0 ? [block] : []))
      const runs = map.runs(0, blockCount, mask)
      t.deepEqual(
        runs.flatMap(({ block, count }) =>
          Array.from({ length: count }, (_, index) => block + index)
        ),
        matching
      )
      t.is(map.any(0, blockCount, mask), matching.length > 0)
      for (let position = 0; position < 11; position++) {
        const { block, count } = map.chunk(position)
        const states = model.slice(block, block + count)
        t.is(
          map.chunkStates(position),
          states.reduce<number>((sum, state) => sum | (1 << state), 0)
        )
      }
    }),
    { numRuns: 100 }
  )
  t.is(masks.unwritten | masks.written, 15)
})
