import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { drain, inParallel } from '../../src/image/streams.ts'

async function collect<Item>(source: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of source) items.push(item)
  return items
}

test('results come in order, with no more at work than allowed', async t => {
  let running = 0
  let most = 0
  const step = inParallel(3, async (item: number) => {
    most = Math.max(most, ++running)
    await sleep(10 - item)
    running--
    return item * 2
  })
  t.deepEqual(await collect(step([1, 2, 3, 4, 5, 6, 7])), [2, 4, 6, 8, 10, 12, 14])
  t.is(most, 3)
})

test('a failure ends the pipeline once what was under way has ended', async t => {
  let running = 0
  const step = inParallel(4, async (item: number) => {
    running++
    await sleep(item)
    running--
    if (item === 2) throw new Error('two')
    return item
  })
  await t.throwsAsync(collect(step([5, 2, 20, 30, 40])), { message: 'two' })
  t.is(running, 0)
})

test('a consumer that leaves waits for what is under way', async t => {
  let ended = 0
  const step = inParallel(2, async (item: number) => {
    await sleep(5)
    ended++
    return item
  })
  for await (const item of step([1, 2, 3, 4])) {
    t.is(item, 1)
    break
  }
  t.is(ended, 2)
})

test('drain runs a pipeline to its end', async t => {
  let count = 0
  await drain(inParallel(2, async () => count++)([1, 2, 3]))
  t.is(count, 3)
})
