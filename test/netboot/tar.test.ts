import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { tarOf } from '../../src/netboot/tar.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

const entries = [
  { path: 'top/b/two', mode: 0o644, bytes: Buffer.from('second') },
  { path: 'top/a', mode: 0o755, bytes: Buffer.alloc(1500, 7) },
  { path: 'top/empty', mode: 0o600, bytes: Buffer.alloc(0) }
]

test('tar unpacks what was packed', async t => {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'x.tar'), tarOf(entries))
  const { code, stderr } = await runProgram(t, 'tar', ['-xf', 'x.tar'], { cwd: folder })
  t.is(code, 0, stderr)
  t.is(stderr, '')
  for (const { path, mode, bytes } of entries) {
    t.deepEqual(await readFile(join(folder, path)), bytes)
    t.is((await stat(join(folder, path))).mode & 0o777, mode)
  }
})

test('the order in which files are named makes no difference', t => {
  t.deepEqual(tarOf(entries), tarOf(entries.toReversed()))
})

test('a path that the format has no room for is refused', t => {
  const path = 'x'.repeat(101)
  t.throws(() => tarOf([{ path, mode: 0o644, bytes: Buffer.alloc(1) }]), {
    code: 'ERR_INTERNAL'
  })
})
