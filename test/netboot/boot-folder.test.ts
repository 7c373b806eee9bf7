import { readFile, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import {
  checkBootFolder,
  hashInName,
  readBootFiles,
  readBootInput,
  writeBootFolder
} from '../../src/netboot/boot-folder.ts'
import { cpioOf } from '../../src/netboot/cpio.ts'
import { runBootswarm, runProgram, temporaryDirectory } from '../helpers/process.ts'
import { sampleArchive, sampleInitrd, sampleKernel } from './samples.ts'

async function built(t: ExecutionContext) {
  const folder = join(await temporaryDirectory(t), 'boot')
  const input = {
    folder,
    arch: 'x64',
    kernel: sampleKernel(1),
    initrd: sampleInitrd(),
    archive: sampleArchive()
  } as const
  return { folder, input, files: await writeBootFolder(input) }
}

test('each file is there under its hash, and the manifest names them', async t => {
  const { folder, input, files } = await built(t)
  t.deepEqual(await checkBootFolder(folder), files)
  t.deepEqual(await readFile(join(folder, files.kernel.name)), input.kernel)
  t.deepEqual(await readFile(join(folder, files.archive.name)), input.archive)
  for (const { name, sha256 } of [files.kernel, files.firstStage, files.archive]) {
    t.is(hashInName(name), sha256)
  }
  t.is((await readdir(folder)).length, 4)
})

test('the first stage is the initramfs and what names the archive, for a kernel and for a shell', async t => {
  const { folder, files } = await built(t)
  const stage = await readFile(join(folder, files.firstStage.name))
  const initrd = sampleInitrd()
  t.true(stage.subarray(0, initrd.length).equals(initrd))
  const appended = stage.subarray(initrd.length + ((4 - (initrd.length % 4)) % 4))
  await writeFile(join(folder, 'second.cpio'), appended)
  const script = `cpio -id --quiet < second.cpio && . ./etc/bootswarm/netboot.conf &&
    echo $BOOTSWARM_ARCHIVE_SHA256 $BOOTSWARM_ARCHIVE_BYTES $BOOTSWARM_ARCHIVE_NAME`
  const { stdout, stderr } = await runProgram(t, 'sh', ['-c', script], { cwd: folder })
  const { sha256, bytes, name } = files.archive
  t.is(stdout, `${sha256} ${bytes} ${name}\n`, stderr)
})

test('the last build but one stays for those who load it, older ones go', async t => {
  const { folder, input, files } = await built(t)
  const second = await writeBootFolder({ ...input, kernel: sampleKernel(2) })
  t.true((await readdir(folder)).includes(files.kernel.name))
  const third = await writeBootFolder({ ...input, kernel: sampleKernel(3) })
  const names = await readdir(folder)
  t.false(names.includes(files.kernel.name))
  t.true(names.includes(second.kernel.name))
  t.true(names.includes(third.kernel.name))
})

test('a file that is damaged or gone is named', async t => {
  const { folder, files } = await built(t)
  const path = join(folder, files.archive.name)
  await truncate(path, 10)
  await t.throwsAsync(checkBootFolder(folder), {
    code: 'ERR_NETBOOT_INVALID',
    message: new RegExp(files.archive.name)
  })
})

test('a manifest is not believed', async t => {
  const { folder } = await built(t)
  const path = join(folder, 'netboot.json')
  const good = await readFile(path, 'utf8')
  const bad = [
    'no json',
    '[]',
    '{"format":"other"}',
    good.replace('"kernel-', '"../kernel-'),
    good.replace('"x64"', '"z80"'),
    good.replace(/"bytes": \d+/, '"bytes": -1')
  ]
  for (const text of bad) {
    await writeFile(path, text)
    await t.throwsAsync(readBootFiles(folder), { code: 'ERR_NETBOOT_INVALID' }, text)
  }
  await writeFile(path, good.replace('"version": 1', '"version": 9'))
  await t.throwsAsync(readBootFiles(folder), { code: 'ERR_FORMAT_VERSION' })
})

test('what is no kernel or initramfs is refused by name, with the option that named it', async t => {
  const folder = await temporaryDirectory(t)
  const path = join(folder, 'file')
  await writeFile(path, 'something else')
  for (const [kind, option] of [
    ['Linux kernel', '--kernel'],
    ['initramfs', '--initrd'],
    ['agent archive', '--archive']
  ] as const) {
    await t.throwsAsync(readBootInput(path, kind), {
      code: 'ERR_NETBOOT_INVALID',
      message: `${path} is no ${kind}; name another with ${option}`
    })
  }
  await writeFile(path, await promisify(gzip)(cpioOf([])))
  t.true((await readBootInput(path, 'initramfs')).length > 0)
  await t.throwsAsync(readBootInput(join(folder, 'none'), 'initramfs'), {
    code: 'ERR_FILE_MISSING'
  })
})

test('the command builds a folder that checks out', async t => {
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'vmlinuz'), sampleKernel(1))
  await writeFile(join(folder, 'initrd'), sampleInitrd())
  await writeFile(join(folder, 'agent'), sampleArchive())
  const out = join(folder, 'out')
  const { code, stdout, stderr } = await runBootswarm(t, [
    ...[
      'netboot',
      'build',
      '--kernel',
      join(folder, 'vmlinuz'),
      '--initrd',
      join(folder, 'initrd')
    ],
    ...['--archive', join(folder, 'agent'), '--out', out, '--json']
  ])
  t.is(code, 0, stderr)
  const { archive } = JSON.parse(stdout) as { archive: unknown }
  t.deepEqual(archive, (await checkBootFolder(out)).archive)
})
