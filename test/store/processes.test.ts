import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { readManifest, sourceOf, verifyImage } from '../../src/image/index.ts'
import { openOrCreateStore, openStore } from '../../src/store/index.ts'
import { bulkNoise, fileDigest } from '../helpers/image-files.ts'
import { runBootswarm, startBootswarm, temporaryDirectory } from '../helpers/process.ts'
import { query } from './stores.ts'

// The store as several processes use it, one of which may be killed at any time.

const MiB = 1024 * 1024

async function packedBytes(store: string): Promise<number> {
  const packs = await readdir(join(store, 'packs')).catch(() => [])
  const sizes = packs.map(async name => (await stat(join(store, 'packs', name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

async function verifyAll(t: ExecutionContext, directory: string, names: readonly string[]) {
  await using store = await openStore(directory)
  const source = sourceOf(store)
  for (const name of names) {
    const imageId = store.resolve(name)?.imageId
    const manifest = await readManifest(imageId ?? '', source)
    const { bytes } = await verifyImage({ manifest, source })
    t.true(bytes > 0)
  }
}

test('an import that is killed at any point leaves a store that opens, and the next one completes', async t => {
  const directory = await temporaryDirectory(t)
  const image = join(directory, 'image')
  const store = join(directory, 'store')
  await writeFile(image, bulkNoise(192 * MiB, 1))
  const args = ['image', 'import', image, '--name', 'lab', '--store', store, '--json']
  for (const grown of [4, 30, 90]) {
    const before = await packedBytes(store)
    const importing = startBootswarm(t, args)
    while ((await packedBytes(store)) < before + grown * MiB) await sleep(1)
    await importing.kill()
    t.deepEqual(
      importing.events.filter(({ event }) => event === 'imported'),
      []
    )

    const opened = await openStore(store)
    t.deepEqual(opened.images(), [])
    t.is(opened.resolve('lab'), undefined)
    await opened.close()
    const rows = query(store, 'SELECT sum(length) AS bytes FROM packs')
    t.is(await packedBytes(store), Number(rows[0]?.bytes ?? 0), 'what is not indexed is gone')
  }
  const last = await runBootswarm(t, args)
  t.is(last.code, 0, last.stderr)
  const imported = JSON.parse(last.stdout.trim().split('\n').at(-1) ?? '') as {
    newBytes: number
    storedBytes: number
  }
  t.true(imported.newBytes < imported.storedBytes, 'what was synced before the kills is used')
  await verifyAll(t, store, ['lab'])
  const exported = join(directory, 'exported')
  t.is((await runBootswarm(t, ['image', 'export', 'lab', exported, '--store', store])).code, 0)
  t.is(await fileDigest(exported), await fileDigest(image))
})

test('two processes import into a store that neither has made, sharing half of their chunks', async t => {
  const directory = await temporaryDirectory(t)
  const store = join(directory, 'store')
  const shared = bulkNoise(24 * MiB, 1)
  const runs = [2, 3].map(async seed => {
    const image = join(directory, `image-${seed}`)
    await writeFile(image, Buffer.concat([shared, bulkNoise(24 * MiB, seed)]))
    return runBootswarm(t, ['image', 'import', image, '--name', `i${seed}`, '--store', store])
  })
  for (const { code, stderr } of await Promise.all(runs)) t.is(code, 0, stderr)
  await verifyAll(t, store, ['i2', 'i3'])
  t.is(query(store, 'SELECT count(*) AS n FROM chunks')[0]?.n, (24 + 24 + 24) * 8 + 2 + 2)
})

test('what another process imports is there at once for one that has the store open', async t => {
  const directory = await temporaryDirectory(t)
  const image = join(directory, 'image')
  await writeFile(image, bulkNoise(8 * MiB, 1))
  await using seed = await openOrCreateStore(join(directory, 'store'))
  t.is(seed.resolve('lab:1'), undefined)
  const args = ['image', 'import', image, '--name', 'lab:1', '--store', seed.directory]
  const { code, stderr } = await runBootswarm(t, args)
  t.is(code, 0, stderr)
  const source = sourceOf(seed)
  const manifest = await readManifest(seed.resolve('lab:1')?.imageId ?? '', source)
  const { distinctChunks } = await verifyImage({ manifest, source })
  t.is(distinctChunks, 64)
})
