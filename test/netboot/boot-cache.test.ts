import { once } from 'node:events'
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { silentLogger } from '../../src/base/index.ts'
import { BootCache, type BootCacheInit } from '../../src/netboot/boot-cache.ts'
import { hashInName, writeBootFolder, type BootFiles } from '../../src/netboot/boot-folder.ts'
import { startFileServer } from '../../src/netboot/file-server.ts'
import { temporaryDirectory } from '../helpers/process.ts'
import { sampleArchive, sampleInitrd, sampleKernel } from './samples.ts'

const http = { host: '127.0.0.1', port: 0 }

async function starting(t: ExecutionContext, init: Partial<BootCacheInit>): Promise<BootCache> {
  const folder = await temporaryDirectory(t)
  const cache = await BootCache.start({ folder, http, sources: [], logger: silentLogger, ...init })
  t.teardown(() => cache.close())
  return cache
}

/** A netboot folder, and a server of it as the seed's. */
async function source(
  t: ExecutionContext
): Promise<{ files: BootFiles; folder: string; url: string }> {
  const folder = join(await temporaryDirectory(t), 'boot')
  const files = await writeBootFolder({
    folder,
    arch: 'x64',
    kernel: sampleKernel(1),
    initrd: sampleInitrd(),
    archive: sampleArchive()
  })
  const server = await startFileServer({
    ...http,
    option: '--http',
    answer: async path => ({
      kind: 'file',
      path: join(folder, path),
      tag: hashInName(path.slice(1))
    }),
    logger: silentLogger
  })
  t.teardown(() => server.close())
  return { files, folder, url: `http://127.0.0.1:${server.port}` }
}

test('a machine serves the archive that it has, and nothing else in that folder', async t => {
  const { folder, files } = await source(t)
  await writeFile(join(folder, 'secret'), 'x')
  const cache = await starting(t, { folder })
  const { bootUrls, bootFiles } = cache.offer()
  t.deepEqual([...bootFiles].sort(), [files.archive.name, files.firstStage.name, files.kernel.name])
  const [url = ''] = bootUrls
  const got = await fetch(`${url}/${files.archive.name}`)
  t.deepEqual(Buffer.from(await got.arrayBuffer()), sampleArchive())
  for (const name of ['secret', 'netboot.json', '%2e%2e/x', '']) {
    t.is((await fetch(`${url}/${name}`)).status, 404, name)
  }
})

test('a file that is not what its name says is neither offered nor sent', async t => {
  const { folder, files } = await source(t)
  await truncate(join(folder, files.archive.name), 5)
  const cache = await starting(t, { folder })
  t.false(cache.offer().bootFiles.includes(files.archive.name))
  t.is((await fetch(`${cache.offer().bootUrls[0]}/${files.archive.name}`)).status, 404)
})

test('what is missing is loaded from the first source that has it all', async t => {
  const { files, url, folder: theirs } = await source(t)
  const folder = await temporaryDirectory(t)
  const dead = 'http://127.0.0.1:1'
  const cache = await starting(t, { folder, sources: [dead, url] })
  t.deepEqual(cache.offer().bootFiles, [])
  await cache.fill()
  t.is(cache.offer().bootFiles.length, 3)
  for (const { name } of [files.kernel, files.firstStage, files.archive]) {
    t.deepEqual(await readFile(join(folder, name)), await readFile(join(theirs, name)))
  }
})

test('a source that sends other bytes, or more of them, leaves nothing behind', async t => {
  const { files, url, folder: theirs } = await source(t)
  for (const bad of [
    Buffer.alloc(files.archive.bytes),
    Buffer.alloc(files.archive.bytes + 70_000)
  ]) {
    await writeFile(join(theirs, files.archive.name), bad)
    const folder = join(await temporaryDirectory(t), 'cache')
    await mkdir(folder)
    const cache = await starting(t, { folder, sources: [url] })
    await cache.fill()
    t.deepEqual(cache.offer().bootFiles, [])
    t.deepEqual(await readdir(folder), [])
  }
})

test('a manifest that has no end is given up', async t => {
  let sent = 0
  const endless = createServer((_request, response) => {
    const piece = Buffer.alloc(64 * 1024, ' ')
    const more = (): void => {
      sent += piece.length
      response.write(piece, error => (error ? undefined : more()))
    }
    more()
  }).listen(0, '127.0.0.1')
  await once(endless, 'listening')
  t.teardown(() => endless.close())
  const { port } = endless.address() as AddressInfo
  const { url } = await source(t)
  const cache = await starting(t, { sources: [`http://127.0.0.1:${port}`, url] })
  await cache.fill()
  t.is(cache.offer().bootFiles.length, 3, 'from the next source')
  t.true(sent < 64 * 1024 * 1024)
})
