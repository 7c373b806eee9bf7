import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile
} from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { run } from './processes.ts'

const program = fileURLToPath(new URL('../../images/tree-to-ext4.sh', import.meta.url))
const modified = 1_600_000_000

// A tmpfs lists a directory in an order that depends on when its files were made, which is what
// must not matter.
async function makeDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp('/dev/shm/bootswarm-tree-')
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function makeTree(root: string, order: (paths: string[]) => string[]): Promise<void> {
  const paths = Array.from({ length: 300 }, (_, index) => `etc/${index % 7}/file ${index}`)
  for (const path of order(paths)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), path.repeat(100))
  }
  await link(join(root, 'etc/0/file 0'), join(root, 'etc/1/same file'))
  await symlink('../etc/0/file 0', join(root, 'etc/link'))
  await mkdir(join(root, 'bin'))
  await writeFile(join(root, 'bin/su'), 'program')
  await chown(join(root, 'bin/su'), 1000, 2000)
  await chmod(join(root, 'bin/su'), 0o4750)
  for (const path of [
    ...paths,
    'bin/su',
    'bin',
    'etc',
    ...[0, 1, 2, 3, 4, 5, 6].map(n => `etc/${n}`)
  ]) {
    await utimes(join(root, path), modified, modified)
  }
  await run('touch', ['--no-dereference', `--date=@${modified}`, join(root, 'etc/link')])
}

async function makeImage(tree: string, image: string): Promise<void> {
  const settings = [
    'UUID=11111111-2222-3333-4444-555555555555',
    'HASH_SEED=66666666-7777-8888-9999-000000000000',
    'LABEL=test',
    'SIZE=256M',
    'SOURCE_DATE_EPOCH=1700000000'
  ]
  await run('env', [...settings, program, tree, image])
}

async function hash(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}

test('the same files make the same bytes, whenever and in whatever order they were made', async t => {
  const directory = await makeDirectory(t)
  const hashes: string[] = []
  for (const [name, order] of [
    ['forwards', (paths: string[]) => paths],
    ['backwards', (paths: string[]) => paths.toReversed()]
  ] as const) {
    const tree = join(directory, name)
    await makeTree(tree, order)
    await makeImage(tree, `${tree}.img`)
    hashes.push(await hash(`${tree}.img`))
  }
  t.is(hashes[0], hashes[1])
})

test('content, owners, modes, times and links are those of the files', async t => {
  const directory = await makeDirectory(t)
  const tree = join(directory, 'tree')
  const image = join(directory, 'tree.img')
  const back = join(directory, 'back')
  await makeTree(tree, paths => paths)
  await makeImage(tree, image)
  await mkdir(back)
  await run('debugfs', ['-R', `rdump /bin /etc ${back}`, image])
  t.is(await run('diff', ['-r', '--no-dereference', tree, back]), '')

  // debugfs restores neither a set-user-id bit nor the time of a symbolic link; it shows both.
  const describe = (root: string): Promise<string> =>
    run('sh', ['-c', `cd ${root} && find bin etc ! -type l -printf '%p %y %U %G %Ts\\n' | sort`])
  t.is(await describe(back), await describe(tree))
  const show = (path: string): Promise<string> => run('debugfs', ['-R', `stat "${path}"`, image])
  t.regex(await show('/bin/su'), /Type: regular +Mode: +04750/)
  t.regex(await show('/etc/link'), new RegExp(`mtime: 0x${modified.toString(16)}`))
  t.regex(await show('/etc/1/same file'), /Links: 2 /)
})

test('a file that an image cannot hold is refused', async t => {
  const directory = await makeDirectory(t)
  const tree = join(directory, 'tree')
  await mkdir(tree)
  await run('mkfifo', [join(tree, 'pipe')])
  await t.throwsAsync(makeImage(tree, join(directory, 'tree.img')), { message: /pipe/ })
})
