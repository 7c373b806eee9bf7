import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import test from 'ava'
import { appendArchive, cpioOf } from '../../src/netboot/cpio.ts'
import { runProgram, temporaryDirectory } from '../helpers/process.ts'

const entries = [
  { path: 'etc/bootswarm/netboot.conf', mode: 0o644, bytes: Buffer.from('A=1\n') },
  { path: 'odd', mode: 0o600, bytes: Buffer.alloc(1001, 3) }
]

test('cpio lists and unpacks what was packed', async t => {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'x.cpio'), cpioOf(entries))
  const cpio = (flags: string) =>
    runProgram(t, 'sh', ['-c', `cpio ${flags} --quiet < x.cpio`], { cwd: folder })
  const list = await cpio('-t')
  t.is(list.stderr, '')
  t.deepEqual(list.stdout.trim().split('\n'), [
    'etc',
    'etc/bootswarm',
    'etc/bootswarm/netboot.conf',
    'odd'
  ])
  t.is((await cpio('-id')).code, 0)
  for (const { path, bytes } of entries) t.deepEqual(await readFile(join(folder, path)), bytes)
})

test('an archive begins at a multiple of 4 behind an initramfs of any length', async t => {
  const first = await promisify(gzip)(cpioOf([{ path: 'init', mode: 0o755, bytes: Buffer.of(1) }]))
  for (let more = 0; more < 4; more += 1) {
    const initrd = Buffer.concat([first, Buffer.alloc(more)])
    const both = appendArchive(initrd, cpioOf(entries))
    const start = both.lastIndexOf('070701', both.indexOf('etc\0'))
    t.is(start % 4, 0)
    t.true(both.subarray(0, initrd.length).equals(initrd))
    t.true(both.subarray(initrd.length, start).every(byte => byte === 0))
  }
})
