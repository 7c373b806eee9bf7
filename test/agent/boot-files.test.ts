import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { BootFiles } from '../../src/agent/boot-files.ts'
import type { BootCacheInit } from '../../src/netboot/index.ts'
import { createLogger } from '../../src/observe/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'

async function initIn(folder: string): Promise<BootCacheInit> {
  const http = { host: '127.0.0.1', port: 0 }
  return { folder, http, sources: [], logger: createLogger({ name: 'test' }) }
}

test('where nothing is said of the processor it serves at once', async t => {
  const files = new BootFiles(await initIn(await temporaryDirectory(t)), undefined)
  await files.started
  t.regex(files.offer()?.bootUrls[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
  await files.close()
})

test('an agent that stops while its machine boots does not wait for that', async t => {
  const folder = join(await temporaryDirectory(t), 'folder')
  const files = new BootFiles(await initIn(folder), { ownMs: 0, isContended: true })
  const started = t.throwsAsync(files.started, { name: 'AbortError' })
  t.is(files.offer(), undefined)
  await files.close()
  await started
  // Nothing was begun: a cache makes its folder.
  await t.throwsAsync(readdir(folder), { code: 'ENOENT' })
})
