import { execFile } from 'node:child_process'
import { stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { deviceNumber, numberIn, sizeOf } from '../../src/base/index.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const run = promisify(execFile)

test('the size of a file, and of a block device, which stat does not tell', async t => {
  const path = join(await temporaryDirectory(t), 'file')
  await writeFile(path, '')
  await truncate(path, 1024 * 1024)
  t.is(await sizeOf(await stat(path, { bigint: true })), 1024 * 1024)
  const { stdout } = await run('losetup', ['--find', '--show', path])
  const device = stdout.trim()
  t.teardown(() => run('losetup', ['--detach', device]))
  const stats = await stat(device, { bigint: true })
  t.is(stats.size, 0n)
  t.is(await sizeOf(stats), 1024 * 1024)
  t.is(deviceNumber(stats.rdev), `7:${/\d+$/.exec(device)?.[0]}`)
})

test('a device number is taken apart as the kernel puts it together', t => {
  t.is(deviceNumber(0x0801n), '8:1')
  t.is(deviceNumber(0x1_03_05n | (0x3n << 20n)), `${0x103}:${0x305}`)
})

test('what says no whole number says nothing', async t => {
  const path = join(await temporaryDirectory(t), 'number')
  t.is(await numberIn(path), undefined)
  for (const [text, number] of [
    ['512\n', 512],
    ['512', undefined],
    ['-1\n', undefined],
    ['\n', undefined]
  ] as const) {
    await writeFile(path, text)
    t.is(await numberIn(path), number)
  }
})
