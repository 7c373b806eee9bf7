import { writeFile } from 'node:fs/promises'
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

test('it serves as soon as it is loaded', async t => {
  const files = new BootFiles(await initIn(await temporaryDirectory(t)))
  await files.started
  t.regex(files.offer()?.bootUrls[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
  await files.close()
})

test('what was just checked is offered as it is, anything else only if it is what its name says', async t => {
  const folder = await temporaryDirectory(t)
  const name = `agent-${'ab'.repeat(32)}.tar.zst`
  await writeFile(join(folder, name), 'something else')
  for (const isChecked of [true, false]) {
    const files = new BootFiles({ ...(await initIn(folder)), isChecked })
    await files.started
    t.deepEqual(files.offer()?.bootFiles, isChecked ? [name] : [])
    await files.close()
  }
})
