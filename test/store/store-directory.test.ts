import { chmod, cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import test from 'ava'
import type { ErrorCode } from '../../src/base/index.ts'
import { openOrCreateStore, openStore } from '../../src/store/index.ts'
import { rejectsWith } from '../helpers/errors.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { freshStore, putNoise } from './stores.ts'

test('a store is made with a key and a secret of its own, which stay', async t => {
  const directory = join(await temporaryDirectory(t), 'deep/er/store')
  const store = await openOrCreateStore(directory)
  t.is(store.lab.publicKey.length, 32)
  t.is(store.enrolSecret.length, 32)
  t.is((await stat(directory)).mode & 0o777, 0o700)
  await store.close()
  await using again = await openOrCreateStore(directory)
  t.deepEqual(again.lab, store.lab)
  t.deepEqual(again.enrolSecret, store.enrolSecret)
  await using other = await freshStore(t)
  t.notDeepEqual(other.lab.seed, store.lab.seed)
  t.notDeepEqual(other.enrolSecret, store.enrolSecret)
})

test('what is no store is refused, and nothing is written there', async t => {
  const directory = await temporaryDirectory(t)
  const path = (name: string) => join(directory, name)
  await rejectsWith(t, 'ERR_STORE_MISSING', openStore(path('missing')))
  await mkdir(path('empty'))
  await rejectsWith(t, 'ERR_STORE_INVALID', openStore(path('empty')))
  await writeFile(path('file'), 'x')
  await rejectsWith(t, 'ERR_STORE_INVALID', openStore(path('file')))
  await rejectsWith(t, 'ERR_STORE_INVALID', openOrCreateStore(path('file')))
  await rejectsWith(t, 'ERR_STORE_INVALID', openOrCreateStore(directory))
  t.deepEqual((await readdir(directory)).sort(), ['empty', 'file'])
  t.deepEqual(await readdir(path('empty')), [])
})

test('many processes may make the same store: one does, all open it', async t => {
  const directory = join(await temporaryDirectory(t), 'store')
  const stores = await Promise.all(Array.from({ length: 6 }, () => openOrCreateStore(directory)))
  for (const store of stores) {
    t.deepEqual(store.lab.seed, stores[0]?.lab.seed)
    await store.close()
  }
})

test('a store that was left half made is made whole', async t => {
  for (const missing of [['store.json'], ['store.json', 'enrol.secret', 'packs']]) {
    const store = await freshStore(t)
    await store.close()
    for (const name of missing) await rm(join(store.directory, name), { recursive: true })
    await rejectsWith(t, 'ERR_STORE_INVALID', openStore(store.directory))
    await using again = await openOrCreateStore(store.directory)
    t.true(again.has(await putNoise(again, 1)))
  }
})

const damages: Record<string, readonly [ErrorCode, (directory: string) => Promise<void>]> = {
  'a newer marker': [
    'ERR_FORMAT_VERSION',
    directory =>
      writeFile(join(directory, 'store.json'), '{"format":"bootswarm-store","version":2}')
  ],
  'a malformed marker': [
    'ERR_STORE_INVALID',
    directory => writeFile(join(directory, 'store.json'), 'hello')
  ],
  'no index': ['ERR_STORE_CORRUPT', directory => rm(join(directory, 'index.sqlite'))],
  'an empty index': [
    'ERR_STORE_CORRUPT',
    directory => writeFile(join(directory, 'index.sqlite'), '')
  ],
  'an index that is none': [
    'ERR_STORE_CORRUPT',
    directory => writeFile(join(directory, 'index.sqlite'), Buffer.alloc(8192, 'x'))
  ],
  'a newer index': [
    'ERR_FORMAT_VERSION',
    async directory => {
      const database = new DatabaseSync(join(directory, 'index.sqlite'))
      database.exec('PRAGMA user_version = 2')
      database.close()
    }
  ],
  'no lab key': ['ERR_STORE_CORRUPT', directory => rm(join(directory, 'lab.key'))],
  'a short secret': [
    'ERR_STORE_CORRUPT',
    directory => writeFile(join(directory, 'enrol.secret'), 'short')
  ]
}

for (const [name, [code, damage]] of Object.entries(damages)) {
  test(`a store with ${name} is refused with ${code}`, async t => {
    const store = await freshStore(t)
    await store.close()
    await damage(store.directory)
    const error = await rejectsWith(t, code, openStore(store.directory))
    t.true(error.message.includes(store.directory))
  })
}

test('a store may be copied while it is closed', async t => {
  const store = await freshStore(t)
  const id = await putNoise(store, 1)
  await store.close()
  const copy = `${store.directory}-copy`
  await cp(store.directory, copy, { recursive: true })
  await chmod(copy, 0o755)
  await using opened = await openStore(copy)
  t.not(await opened.get(id), undefined)
})
