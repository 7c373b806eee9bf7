import test from 'ava'
import { limits, type ChunkId } from '../../src/base/index.ts'
import { chunkIdOf } from '../../src/image/index.ts'
import { openStore, type Store } from '../../src/store/index.ts'
import { freshStore } from './stores.ts'

const chunkSize = limits.chunkBytesDefault
const idOf = (text: string): ChunkId => chunkIdOf(Buffer.from(text))
const report = (image: string, machine: string, ...positions: number[]) => ({
  imageId: idOf(image),
  machine,
  chunkSize,
  steps: positions.map((position, ms) => ({ position, ms, id: idOf(`chunk ${position}`) }))
})

async function addImage(store: Store, image: string, name: string): Promise<void> {
  const facts = { size: chunkSize, chunkSize, chunks: 1, zeroChunks: 0, distinctChunks: 1 }
  await store.addImage({ imageId: idOf(image), ...facts, storedBytes: 1 })
  await store.addRelease({ name, tag: 'latest', imageId: idOf(image) })
}

test('reports outlive the process, newest first, and a machine has one say', async t => {
  const store = await freshStore(t)
  store.addBootReport(report('one', 'a', 3, 1), 10)
  store.addBootReport(report('one', 'b', 1), 20)
  store.addBootReport(report('one', 'a', 7), 30)
  store.addBootReport(report('two', 'a', 2), 40)
  await store.close()
  await using again = await openStore(store.directory)
  t.deepEqual(again.bootReports(idOf('one')), [report('one', 'a', 7), report('one', 'b', 1)])
  t.deepEqual(again.bootReports(idOf('three')), [])
})

test('the oldest of many machines are forgotten', async t => {
  const store = await freshStore(t)
  for (let n = 0; n < limits.bootReportsMax + 3; n += 1) {
    store.addBootReport(report('one', `m${n}`, n), n)
  }
  const machines = store.bootReports(idOf('one')).map(({ machine }) => machine)
  t.is(machines.length, limits.bootReportsMax)
  t.is(machines.at(-1), 'm3')
})

test('the image that had the name before is found when its tag has moved', async t => {
  const store = await freshStore(t)
  await addImage(store, 'one', 'debian')
  await addImage(store, 'other', 'windows')
  store.addBootReport(report('one', 'a', 1), 1)
  store.addBootReport(report('other', 'a', 1), 2)
  t.is(store.formerlyBooted(idOf('one')), undefined)
  await addImage(store, 'two', 'debian')
  t.is(store.formerlyBooted(idOf('two')), idOf('one'))
  t.is(store.formerlyBooted(idOf('unnamed')), undefined)
})
