import {
  appendFile,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  truncate,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { openStore } from '../../src/store/index.ts'
import { encodePackHeader } from '../../src/store/format.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { flipByte } from './damage.ts'
import { freshStore, packPath, putNoise, query } from './stores.ts'

async function closedStore(t: ExecutionContext) {
  const store = await freshStore(t)
  const ids = [await putNoise(store, 1), await putNoise(store, 2)]
  await store.close()
  return { directory: store.directory, ids, path: packPath(store.directory, 1) }
}

test('a pack that is cut short is refused, wherever it was cut', async t => {
  const { directory, path } = await closedStore(t)
  const whole = await readFile(path)
  for (const length of [whole.length - 1, 100, 16, 3, 0]) {
    await truncate(path, length)
    const error = await rejectsWith(t, 'ERR_STORE_CORRUPT', openStore(directory))
    t.true(error.message.includes(path))
  }
  await writeFile(path, whole)
  await (await openStore(directory)).close()
})

test('a pack that is missing, foreign or misnamed is refused', async t => {
  const { directory, path } = await closedStore(t)
  await rename(path, `${path}.away`)
  await rejectsWith(t, 'ERR_STORE_CORRUPT', openStore(directory))
  await rename(`${path}.away`, path)
  await flipByte(path, 12)
  await rejectsWith(t, 'ERR_STORE_CORRUPT', openStore(directory))
  await flipByte(path, 12)
  await flipByte(path, 0)
  await rejectsWith(t, 'ERR_STORE_CORRUPT', openStore(directory))
})

test('what a crashed writer left at the end of a pack is cleared away', async t => {
  const { directory, ids, path } = await closedStore(t)
  const { size } = await stat(path)
  await appendFile(path, Buffer.alloc(5000, 'half a record'))
  await using store = await openStore(directory)
  t.is((await stat(path)).size, size)
  for (const id of ids) t.not(await store.get(id), undefined)
})

test('a pack that a crashed writer never indexed is cleared away', async t => {
  const { directory } = await closedStore(t)
  await writeFile(packPath(directory, 2), Buffer.concat([encodePackHeader(2), Buffer.alloc(500)]))
  await writeFile(packPath(directory, 7), '')
  await writeFile(join(directory, 'packs', 'notes.txt'), 'not ours')
  await (await openStore(directory)).close()
  t.deepEqual((await readdir(join(directory, 'packs'))).sort(), ['000001.pack', 'notes.txt'])
})

test('a pack that was allocated and never filled is forgotten', async t => {
  const { directory } = await closedStore(t)
  const crashed = await openStore(directory)
  await putNoise(crashed, 3)
  // As after a crash between allocation and the first record's row.
  query(directory, 'INSERT INTO packs (number, length) VALUES (9, 16) RETURNING number')
  await crashed.close()
  await (await openStore(directory)).close()
  t.deepEqual(
    query(directory, 'SELECT number FROM packs').map(row => row.number),
    [1, 2]
  )
})

test('a pack that a live process writes to is left alone', async t => {
  const writer = await freshStore(t, { unsyncedMs: 60_000 })
  const id = await putNoise(writer, 1)
  const path = packPath(writer.directory, 1)
  const { size } = await stat(path)
  t.true(size > 1000)
  await (await openStore(writer.directory)).close()
  t.is((await stat(path)).size, size)
  await writer.sync()
  await using reader = await openStore(writer.directory)
  t.not(await reader.get(id), undefined)
})

test('an opener never cuts what a writer adds and closes meanwhile', async t => {
  const store = await freshStore(t)
  const { directory } = store
  const ids: string[] = []
  const opening = async () => {
    for (let count = 0; count < 20; count++) await (await openStore(directory)).close()
  }
  const writing = async (first: number) => {
    for (let seed = first; seed < first + 20; seed++) {
      await using writer = await openStore(directory)
      ids.push(await putNoise(writer, seed))
    }
  }
  await Promise.all([opening(), writing(0), writing(100)])
  for (const id of ids) t.not(await store.get(id), undefined)
  t.is(ids.length, 40)
  await rm(directory, { recursive: true })
})
