import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { chunkIdOf, plainFrame } from '../../src/image/index.ts'
import { ChunkAppender } from '../../src/store/chunk-appender.ts'
import { ChunkIndex } from '../../src/store/chunk-index.ts'
import { openDatabase } from '../../src/store/database.ts'
import { PackWriter, allocatePack } from '../../src/store/pack-writer.ts'
import { noise } from '../helpers/image-files.ts'

/** Records what happens in which order, and fails on demand. */
class ObservedWriter extends PackWriter {
  events: string[] = []
  failOn: 'append' | 'flush' | undefined

  override async append(record: Uint8Array) {
    this.events.push('append')
    if (this.failOn === 'append') throw new Error('append failed')
    return super.append(record)
  }

  override async flush() {
    this.events.push('flush')
    if (this.failOn === 'flush') throw new Error('flush failed')
    return super.flush()
  }
}

async function makeAppender(t: ExecutionContext, options: { unsyncedBytesMax?: number } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-appender-'))
  const database = openDatabase(join(directory, 'index.sqlite'), true)
  const index = new ChunkIndex(database)
  const state = { events: [] as string[], failOn: undefined as 'append' | 'flush' | undefined }
  const add = index.add.bind(index)
  index.add = records => {
    state.events.push('index')
    add(records)
  }
  const appender = new ChunkAppender({
    index,
    async allocate() {
      const writer = await allocatePack(directory, index)
      const observed = Object.setPrototypeOf(writer, ObservedWriter.prototype) as ObservedWriter
      observed.events = state.events
      Object.defineProperty(observed, 'failOn', { get: () => state.failOn })
      return observed
    },
    packBytesMax: 1_000_000,
    unsyncedBytesMax: options.unsyncedBytesMax ?? 1_000_000,
    unsyncedMs: 60_000
  })
  t.teardown(() => appender.close().catch(() => {}))
  const put = (seed: number) => {
    const plain = noise(1000, seed)
    return appender.put(chunkIdOf(plain), plainFrame(plain)).then(() => chunkIdOf(plain))
  }
  return { directory, index, appender, state, put }
}

test('the pack is flushed before the index speaks of it', async t => {
  const { appender, state, put } = await makeAppender(t)
  await Promise.all([put(1), put(2)])
  await appender.sync()
  t.deepEqual(state.events, ['append', 'append', 'flush', 'index'])
  await appender.sync()
  t.is(state.events.length, 4, 'nothing to do, nothing done')
})

test('it syncs by itself after so many bytes', async t => {
  const { index, put, state } = await makeAppender(t, { unsyncedBytesMax: 2500 })
  const ids = [await put(1), await put(2)]
  t.false(state.events.includes('index'))
  ids.push(await put(3))
  for (const id of ids) t.not(index.find(id), undefined)
})

test('a chunk whose write failed is not there, and the next one is', async t => {
  const { appender, index, put, state } = await makeAppender(t)
  state.failOn = 'append'
  await t.throwsAsync(put(1), { message: 'append failed' })
  state.failOn = undefined
  const id = await put(2)
  await appender.sync()
  t.not(index.find(id), undefined)
  t.is(index.find(chunkIdOf(noise(1000, 1))), undefined)
})

test('after a failed flush nothing is indexed and nothing more is taken', async t => {
  const { appender, index, put, state } = await makeAppender(t)
  const id = await put(1)
  state.failOn = 'flush'
  await t.throwsAsync(appender.sync(), { message: 'flush failed' })
  state.failOn = undefined
  await t.throwsAsync(put(2), { message: 'flush failed' })
  await t.throwsAsync(appender.sync(), { message: 'flush failed' })
  await t.throwsAsync(appender.close(), { message: 'flush failed' })
  t.is(index.find(id), undefined)
  t.false(state.events.includes('index'))
})

test('no pack is made before the first put', async t => {
  const { directory, appender, put } = await makeAppender(t)
  await appender.sync()
  t.false((await readdir(directory)).includes('000001.pack'))
  await put(1)
  t.true((await readdir(directory)).includes('000001.pack'))
})
