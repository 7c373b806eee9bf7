import { open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { BootswarmError } from '../../src/base/index.ts'
import { fileError, replaceFile, syncDirectory, writeFully } from '../../src/image/files.ts'
import { noise } from '../helpers/image-files.ts'
import { temporaryDirectory } from '../helpers/process.ts'

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

test('system errors get a code of ours and name the file', t => {
  const cases = { ENOENT: 'ERR_FILE_MISSING', ENOSPC: 'ERR_DISK_FULL', EIO: 'ERR_DISK_IO' }
  for (const [code, expected] of Object.entries(cases)) {
    const error = fileError(systemError(code), '/lab/image')
    t.true(error instanceof BootswarmError && error.code === expected)
    t.true(error instanceof Error && error.message.includes('/lab/image'))
  }
})

test('other errors stay as they are', t => {
  for (const error of [systemError('EBADF'), new BootswarmError('ERR_STOPPED', 'x'), 'text']) {
    t.is(fileError(error, '/x'), error)
  }
})

test('all bytes are written at their place', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  const handle = await open(path, 'w')
  await writeFully(handle, noise(100_000, 1), 50)
  await handle.close()
  await syncDirectory(directory)
  t.deepEqual(await readFile(path), Buffer.concat([Buffer.alloc(50), noise(100_000, 1)]))
})

test('a full device is reported as such', async t => {
  const handle = await open('/dev/full', 'w')
  const error = await t.throwsAsync(writeFully(handle, noise(10, 1), 0))
  await handle.close()
  t.true((fileError(error, '/dev/full') as BootswarmError).code === 'ERR_DISK_FULL')
})

test('a file is replaced as a whole, or stays as it was', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  await replaceFile(path, noise(1000, 1), 0o600)
  await replaceFile(path, noise(2000, 2), 0o600)
  t.deepEqual(await readFile(path), Buffer.from(noise(2000, 2)))
  t.is((await stat(path)).mode & 0o777, 0o600)
  t.deepEqual(await readdir(directory), ['file'])
  const missing = join(directory, 'missing', 'file')
  await t.throwsAsync(replaceFile(missing, noise(10, 1), 0o644), { code: 'ERR_FILE_MISSING' })
  await t.throwsAsync(replaceFile(directory, noise(10, 1), 0o644), { code: 'ERR_FILE_MISSING' })
  t.deepEqual(await readFile(path), Buffer.from(noise(2000, 2)))
})
