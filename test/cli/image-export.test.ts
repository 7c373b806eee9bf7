import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loopDevice } from '../disk/loop-device.ts'
import { MiB, noiseImage } from '../product/images.ts'
import { Lab } from '../product/lab.ts'

async function labWithDevice(t: ExecutionContext) {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const device = await loopDevice(t, lab.path('device'), bytes.length + 16 * MiB)
  const exportTo = (...extra: string[]) =>
    lab.run('image', 'export', 'lab', device, '--store', lab.store, ...extra)
  return { lab, bytes, device, exportTo }
}

test('a blank device is written; what it holds then goes only with --force', async t => {
  const { lab, bytes, device, exportTo } = await labWithDevice(t)
  const other = await lab.run('image', 'export', 'lab', lab.directory, '--store', lab.store)
  t.regex(other.stderr, /\[ERR_IMAGE_KIND\]/)
  const isThere = async () => bytes.equals((await readFile(device)).subarray(0, bytes.length))
  const first = await exportTo()
  t.is(first.code, 0, first.stderr)
  t.true(await isThere())
  await writeFile(device, 'a letter', { flag: 'r+' })
  execFileSync('blockdev', ['--flushbufs', device])
  const refused = await exportTo()
  t.is(refused.code, 1)
  t.regex(refused.stderr, /holds data; nothing was written; --force.*\[ERR_TARGET_FOREIGN\]/)
  t.false(await isThere())
  const forced = await exportTo('--force')
  t.is(forced.code, 0, forced.stderr)
  t.true(await isThere())
})

test('a device that is mounted, or that an agent holds, is not written, not by --force either', async t => {
  const { lab, device, exportTo } = await labWithDevice(t)
  const refuse = async () => {
    const { code, stderr } = await exportTo('--force')
    t.is(code, 1)
    t.true(stderr.includes(device) && stderr.includes('[ERR_TARGET_BUSY]'), stderr)
  }
  execFileSync('mke2fs', ['-q', '-F', device])
  const folder = join(lab.directory, 'mounted')
  await mkdir(folder)
  execFileSync('mount', [device, folder])
  try {
    await refuse()
  } finally {
    execFileSync('umount', [folder])
  }
  await lab.startSeed()
  const extra = ['--disk', device, '--force']
  const agent = await lab.startAgent({ name: 'a', extra })
  await agent.until('ready')
  await refuse()
  await agent.process.stop()
})
