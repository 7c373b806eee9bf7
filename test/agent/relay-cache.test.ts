import test from 'ava'
import fc from 'fast-check'
import type { Frame } from '../../src/base/index.ts'
import { RelayCache } from '../../src/agent/relay-cache.ts'
import { plainFrame } from '../../src/image/index.ts'

function frame(length: number, fill = 0): Frame {
  return { encoding: 'zstd', plainLength: length + 1, bytes: new Uint8Array(length).fill(fill) }
}

function isSame(actual: Frame | undefined, expected: Frame): boolean {
  const { encoding, plainLength, bytes } = expected
  return (
    actual?.encoding === encoding &&
    actual.plainLength === plainLength &&
    Buffer.from(actual.bytes).equals(bytes)
  )
}

test('the oldest frames make room', t => {
  const cache = new RelayCache(24)
  for (const id of ['a', 'b', 'c']) cache.put(id, frame(8))
  cache.put('d', frame(15))
  t.deepEqual(
    ['a', 'b', 'c', 'd'].map(id => cache.has(id)),
    [false, false, true, true]
  )
  t.is(cache.get('b'), undefined)
})

test('the first frame of a chunk stays, and is counted once', t => {
  const cache = new RelayCache(24)
  cache.put('a', frame(16, 1))
  cache.put('a', frame(16, 2))
  cache.put('b', frame(8, 3))
  t.true(isSame(cache.get('a'), frame(16, 1)))
  t.true(cache.has('b'))
})

test('what was handed out does not change when its place is used again', t => {
  const cache = new RelayCache(10)
  cache.put('a', frame(10, 1))
  const held = cache.get('a')
  cache.put('b', frame(10, 2))
  t.true(isSame(held, frame(10, 1)))
})

test('a frame that is larger than all the room is not kept, and costs nothing', t => {
  const cache = new RelayCache(10)
  cache.put('a', frame(10, 1))
  cache.put('b', frame(11, 2))
  t.false(cache.has('b'))
  t.true(cache.has('a'))
})

test('property: what it holds is what was put, no more than it may, and what was put last', t => {
  const puts = fc.array(fc.record({ id: fc.nat(9), length: fc.integer({ min: 1, max: 40 }) }))
  fc.assert(
    fc.property(puts, sequence => {
      const cache = new RelayCache(60)
      const frames = new Map<string, Frame>()
      for (const [index, { id, length }] of sequence.entries()) {
        const name = `${id}`
        const isKnown = cache.has(name)
        if (!isKnown) frames.set(name, frame(length, index))
        cache.put(name, frame(length, index))
        const held = [...frames].filter(([each]) => cache.has(each))
        t.true(held.every(([each, expected]) => isSame(cache.get(each), expected)))
        t.true(held.reduce((sum, [, { bytes }]) => sum + bytes.length, 0) <= 60)
        t.true(cache.has(name))
      }
    })
  )
})

test('the memory of a frame that was released holds the next one, and no frame that is in use', t => {
  const cache = new RelayCache()
  const frames = ['one', 'two'].map(name => plainFrame(Buffer.alloc(20_000, name)))
  frames.forEach((frame, at) => cache.put(`id ${at}`, frame))
  const first = cache.get('id 0')
  const second = cache.get('id 1')
  t.not(first?.bytes.buffer, second?.bytes.buffer)
  if (first !== undefined) cache.release(first)
  if (first !== undefined) cache.release(first)
  const third = cache.get('id 1')
  const fourth = cache.get('id 1')
  t.is(third?.bytes.buffer, first?.bytes.buffer)
  t.not(fourth?.bytes.buffer, third?.bytes.buffer)
  for (const frame of [second, third, fourth]) {
    t.deepEqual(Buffer.from(frame?.bytes ?? []), Buffer.alloc(20_000, 'two'))
  }
  cache.release(plainFrame(Buffer.alloc(1)))
})
