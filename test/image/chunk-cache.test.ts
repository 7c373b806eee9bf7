import test from 'ava'
import { ChunkCache } from '../../src/image/index.ts'

const chunk = (position: number): Uint8Array => new Uint8Array(10).fill(position)

test('several that want one chunk wait for one load, and what is kept is not loaded again', async t => {
  const loads: number[] = []
  const cache = new ChunkCache(20, async position => {
    loads.push(position)
    return chunk(position)
  })
  const [first, second] = await Promise.all([cache.get(1), cache.get(1)])
  t.is(first, second)
  await cache.get(2)
  await cache.get(1)
  await cache.get(3)
  t.true(cache.has(1) && cache.has(3) && !cache.has(2), 'the longest unused makes room')
  t.deepEqual(loads, [1, 2, 3])
})

test('a load goes on while somebody waits for it, and is called off when nobody does', async t => {
  const gates: { resolve: (bytes: Uint8Array) => void; signal: AbortSignal }[] = []
  const cache = new ChunkCache(100, (_position, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    signal.addEventListener('abort', () => reject(signal.reason as Error))
    gates.push({ resolve, signal })
    return promise
  })
  const [one, other] = [new AbortController(), new AbortController()]
  const waiting = [cache.get(1, one.signal), cache.get(1, other.signal)] as const
  await Promise.resolve()
  one.abort(new Error('gone'))
  await t.throwsAsync(waiting[0], { message: 'gone' })
  t.false(gates[0]?.signal.aborted)
  other.abort(new Error('gone too'))
  await t.throwsAsync(waiting[1], { message: 'gone too' })
  t.true(gates[0]?.signal.aborted)
  const again = cache.get(1)
  await new Promise(resolve => setImmediate(resolve))
  gates[1]?.resolve(chunk(1))
  t.deepEqual(await again, chunk(1))
})

test('a load that fails is tried again by the next who asks', async t => {
  let fails = true
  const cache = new ChunkCache(100, async position => {
    if (fails) throw new Error('not now')
    return chunk(position)
  })
  await t.throwsAsync(cache.get(1), { message: 'not now' })
  fails = false
  t.deepEqual(await cache.get(1), chunk(1))
})
