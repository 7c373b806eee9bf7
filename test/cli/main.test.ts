import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import test from 'ava'
import { bulkNoise } from '../helpers/image-files.ts'
import { launcherPath, runProgram } from '../helpers/process.ts'
import { MiB, noiseImage } from '../product/images.ts'
import { Lab, lastObject } from '../product/lab.ts'

const run = promisify(execFile)

test('output that cannot be written is a failure, however well the work went', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const commands = ['verify lab', `export lab ${lab.path('copy')}`, 'list']
  for (const command of commands) {
    const line = `exec ${launcherPath} image ${command} --store ${lab.store} > /dev/full`
    const { code, stderr } = await runProgram(t, '/bin/sh', ['-c', line])
    t.is(code, 1, `${command}\n${stderr}`)
    t.regex(stderr, /^bootswarm: the output .+ \[ERR_DISK_FULL\]\n$/)
  }
})

test('a full file system under the store is told as that', async t => {
  const lab = await Lab.make(t)
  const small = lab.path('small')
  await mkdir(small)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small])
  t.teardown(() => run('umount', ['--lazy', small]))
  await writeFile(lab.path('image'), bulkNoise(8 * MiB, 1))
  const store = `${small}/store`
  const args = ['image', 'import', lab.path('image'), '--name', 'a', '--store', store, '--json']
  const { code, stdout, stderr } = await lab.run(...args)
  t.is(code, 1)
  t.like(lastObject(stdout), { event: 'error', code: 'ERR_DISK_FULL' }, stderr)
  t.true(stderr.includes(store), stderr)
})

test('--version and -V tell the version, and that of the protocol', async t => {
  for (const flag of ['--version', '-V']) {
    const { code, stdout, stderr } = await runProgram(t, launcherPath, [flag])
    t.is(code, 0, stderr)
    t.regex(stdout, /^bootswarm \d+\.\d+\.\d+, protocol \d+\n$/)
  }
})

test('the slip of the pen is named, not what it led to', async t => {
  const lab = await Lab.make(t)
  const { path } = await noiseImage(lab.path('image'), 1)
  await lab.importImage(path, 'lab')
  const nowhere = lab.path('none/copy')
  const cases = [
    [['image', 'import', path, '--bogus'], 2, "unknown option '--bogus'"],
    [['image', 'import', path, '--colour=red'], 2, "unknown option '--colour'"],
    [['agent', '--image', 'lab', '--bogus'], 2, "unknown option '--bogus'"],
    [['image', 'import', path], 2, "required option '--name <name[:tag]>' not specified"],
    [['bogus', '--help'], 2, "unknown command 'bogus'"],
    [['image', 'list', '--store', ''], 2, '--store is empty; name the folder of a store'],
    [['status', '--store', ''], 2, '--store is empty; name the folder of a store'],
    [
      ['image', 'export', 'lab', nowhere, '--store', lab.store],
      1,
      `${nowhere} lies in a folder that does not exist`
    ]
  ] as const
  for (const [args, exit, says] of cases) {
    const { code, stdout, stderr } = await lab.run(...args)
    t.is(code, exit, stderr)
    t.is(stdout, '', args.join(' '))
    t.true(stderr.startsWith(`bootswarm: ${says}`), stderr)
    t.is(stderr.trimEnd().split('\n').length, 1, stderr)
  }
})
