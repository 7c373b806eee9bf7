import { execFileSync } from 'node:child_process'
import { access, open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { openOrCreateStore } from '../../src/store/index.ts'
import { bulkNoise, mixedImage, noise } from '../helpers/image-files.ts'
import {
  launcherPath,
  runBootswarm,
  startBootswarm,
  temporaryDirectory
} from '../helpers/process.ts'
import { lastObject } from '../product/lab.ts'
import { flipByte } from '../store/damage.ts'

// The image commands as their users run them: real processes, real files.

const chunkSize = 16 * 1024
const bytes = mixedImage(chunkSize)
const cidPattern = /^bafyrei[a-z2-7]{52}$/

async function workplace(t: ExecutionContext) {
  const directory = await temporaryDirectory(t)
  const path = (name: string) => join(directory, name)
  await writeFile(path('image'), bytes)
  const store = path('store')
  const image = (...args: string[]) => runBootswarm(t, ['image', ...args, '--store', store])
  return { directory, path, store, image }
}

async function imported(t: ExecutionContext) {
  const place = await workplace(t)
  const { code, stdout, stderr } = await place.image(
    ...['import', place.path('image'), '--name', 'debian:12', '--chunk-size', '16K']
  )
  t.is(code, 0, stderr)
  return { ...place, cid: lastLine(stdout) }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}

test('import, list, show, verify and export one image', async t => {
  const { path, image, cid } = await imported(t)
  t.regex(cid, cidPattern)
  const list = await image('list')
  t.regex(list.stdout, /debian:12 /)
  t.true(list.stdout.includes(cid))
  for (const name of ['debian:12', cid]) {
    const show = await image('show', name)
    t.is(show.code, 0)
    t.true(show.stdout.includes(cid) && show.stdout.includes(String(bytes.length)))
  }
  for (const names of [[], ['debian:12'], [cid, 'debian:12']]) {
    const verify = await image('verify', ...names)
    t.is(verify.code, 0, verify.stderr)
    t.is(verify.stdout.trim().split('\n').length, 1)
  }
  t.is((await image('export', 'debian:12', path('exported'))).code, 0)
  t.true(bytes.equals(await readFile(path('exported'))))
})

test('with --json every command prints objects, the last one the result', async t => {
  const { path, image } = await workplace(t)
  const args = ['import', path('image'), '--name', 'debian', '--chunk-size', `${chunkSize}`]
  const first = lastObject((await image(...args, '--json')).stdout)
  t.like(first, {
    event: 'imported',
    name: 'debian',
    tag: 'latest',
    serial: 1,
    size: bytes.length,
    chunkSize,
    chunks: 8,
    zeroChunks: 3,
    distinctChunks: 4
  })
  t.is(first.newBytes, first.storedBytes)
  const cid = String(first.cid)
  t.regex(cid, cidPattern)
  t.like(lastObject((await image(...args, '--json')).stdout), { cid, newBytes: 0, serial: 1 })

  const { images } = lastObject((await image('list', '--json')).stdout)
  t.like((images as object[])[0], { cid, names: ['debian:latest'], size: bytes.length })
  t.like(lastObject((await image('show', 'debian', '--json')).stdout), {
    event: 'image',
    cid,
    releases: { 0: { name: 'debian', tag: 'latest', serial: 1 } }
  })
  t.like(lastObject((await image('verify', '--json')).stdout), {
    event: 'verified',
    cid,
    distinctChunks: 4
  })
  const exported = path('exported')
  t.deepEqual(lastObject((await image('export', cid, exported, '--json')).stdout), {
    event: 'exported',
    cid,
    path: exported,
    size: bytes.length
  })
})

test('a name moves to the image imported last, the other image stays', async t => {
  const { path, image, cid } = await imported(t)
  await writeFile(path('image'), noise(chunkSize, 50))
  const second = lastObject(
    (await image('import', path('image'), '--name', 'debian:12', '--json')).stdout
  )
  t.is(second.serial, 2)
  const { images } = lastObject((await image('list', '--json')).stdout)
  t.deepEqual(
    new Map((images as { cid: string; names: string[] }[]).map(one => [one.cid, one.names])),
    new Map([
      [cid, []],
      [String(second.cid), ['debian:12']]
    ])
  )
  t.is((await image('verify', cid)).code, 0)
})

test('the default store is .bootswarm in the working directory', async t => {
  const { directory, path } = await workplace(t)
  const options = { cwd: directory }
  const run = await runBootswarm(t, ['image', 'import', path('image'), '--name', 'a'], options)
  t.is(run.code, 0, run.stderr)
  await access(path('.bootswarm/store.json'))
})

test('wrong input has a line, a code and an exit code of its own', async t => {
  const { path, store, image } = await workplace(t)
  await writeFile(path('empty'), '')
  await writeFile(path('odd'), Buffer.alloc(1000))
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path('qcow2'), '1M'])
  const name = ['--name', 'a']
  const file = path('image')
  const cases: [number, string, string[]][] = [
    [1, 'ERR_FILE_MISSING', ['import', path('missing'), ...name]],
    [1, 'ERR_IMAGE_EMPTY', ['import', path('empty'), ...name]],
    [1, 'ERR_IMAGE_SIZE', ['import', path('odd'), ...name]],
    [1, 'ERR_IMAGE_KIND', ['import', path('.'), ...name]],
    [1, 'ERR_IMAGE_KIND', ['import', path('qcow2'), ...name]],
    [2, 'ERR_NAME_INVALID', ['import', file, '--name', 'Not A Name']],
    [2, 'ERR_USAGE', ['import', file]],
    [2, 'ERR_USAGE', ['import', ...name]],
    [2, 'ERR_USAGE', ['import', file, ...name, '--chunk-size', '100K']],
    [2, 'ERR_USAGE', ['import', file, ...name, '--chunk-size', 'big']],
    [2, 'ERR_USAGE', ['import', file, ...name, '--unknown']],
    [2, 'ERR_USAGE', ['unknown']],
    [2, 'ERR_USAGE', []],
    [1, 'ERR_STORE_MISSING', ['list']]
  ]
  for (const [exitCode, code, args] of cases) {
    const { code: actual, stdout, stderr } = await image(...args)
    t.is(actual, exitCode, args.join(' '))
    t.regex(lastLine(stderr), new RegExp(`^bootswarm: .+ \\[${code}\\]$`))
    t.is(stdout, '')
    t.false(stderr.includes('    at '), 'no stack')
  }
  await t.throwsAsync(access(store), { code: 'ENOENT' }, 'nothing was left behind')
})

test('with --json an error is an object too', async t => {
  const { image } = await workplace(t)
  for (const [code, args] of [
    ['ERR_STORE_MISSING', ['list', '--json']],
    ['ERR_USAGE', ['list', '--json', '--unknown']]
  ] as const) {
    const { stdout, stderr } = await image(...args)
    t.like(lastObject(stdout), { event: 'error', code })
    t.true(stderr.includes(`[${code}]`))
  }
})

test('an unknown image, a foreign directory and a newer store are refused', async t => {
  const { directory, path, store, image } = await imported(t)
  const other = lastLine((await image('show', 'fedora')).stderr)
  t.true(other.includes('fedora') && other.includes('[ERR_IMAGE_UNKNOWN]'))
  const foreign = await runBootswarm(t, ['image', 'list', '--store', directory])
  t.is(foreign.code, 1)
  t.regex(foreign.stderr, /ERR_STORE_INVALID/)
  await writeFile(path('store/store.json'), '{"format":"bootswarm-store","version":99}')
  const newer = await image('list')
  t.is(newer.code, 1)
  t.regex(newer.stderr, /upgrade this bootswarm.*\[ERR_FORMAT_VERSION\]/)
  t.true(newer.stderr.includes(store))
})

test('verify names the first bad chunk, and a truncated pack is refused', async t => {
  const { path, image } = await imported(t)
  const pack = path('store/packs/000001.pack')
  await flipByte(pack, 16 + 48 + 100)
  const verify = await image('verify')
  t.is(verify.code, 1)
  t.regex(verify.stderr, /debian:12.*chunk [0-9a-f]{64}.*\[ERR_STORE_CORRUPT\]/)
  t.is((await image('export', 'debian:12', path('exported'))).code, 1)
  await t.throwsAsync(access(path('exported')), { code: 'ENOENT' })
  await truncate(pack, 1000)
  const list = await image('list')
  t.is(list.code, 1)
  t.true(list.stderr.includes(pack) && list.stderr.includes('[ERR_STORE_CORRUPT]'))
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`an import stops cleanly on ${signal}`, async t => {
    const { path, store, image } = await workplace(t)
    await writeFile(path('large'), bulkNoise(300 * 1024 * 1024, 1))
    const importing = startBootswarm(t, [
      ...['image', 'import', path('large'), '--name', 'a', '--store', store, '--json']
    ])
    const pack = path('store/packs/000001.pack')
    while (
      !(await access(pack).then(
        () => true,
        () => false
      ))
    )
      await sleep(1)
    process.kill(importing.pid, signal)
    const { code } = await importing.exited
    t.is(code, 1)
    t.like(importing.events.at(-1), { event: 'error', code: 'ERR_STOPPED' })
    t.deepEqual(lastObject((await image('list', '--json')).stdout).images, [])
  })
}

test('a sparse image of 8 GiB is imported and exported without its holes', async t => {
  const { path, image } = await workplace(t)
  const handle = await open(path('sparse'), 'w')
  await handle.truncate(8 * 1024 ** 3)
  await handle.write(noise(4096, 1), 0, 4096, 5 * 1024 ** 3)
  await handle.close()
  const result = lastObject((await image('import', path('sparse'), '--name', 'a', '--json')).stdout)
  t.like(result, { chunks: 65536, zeroChunks: 65535, distinctChunks: 1 })
  t.is((await image('export', 'a', path('exported'))).code, 0)
  execFileSync('cmp', [
    '--bytes=8192',
    `--ignore-initial=${5 * 1024 ** 3 - 4096}`,
    path('sparse'),
    path('exported')
  ])
  const blocks = Number(execFileSync('stat', ['-c', '%b', path('exported')], { encoding: 'utf8' }))
  t.true(blocks * 512 < 1024 * 1024)
})

test('a reader that goes away is no failure that anyone sees', async t => {
  const { store } = await imported(t)
  const command = `${launcherPath} image list --store ${store} | true`
  const output = execFileSync('sh', ['-c', `{ ${command}; } 2>&1`], { encoding: 'utf8' })
  t.is(output, '')
})

test('on a terminal an import shows a bar, and its result below', async t => {
  const { path, store } = await workplace(t)
  await writeFile(path('large'), bulkNoise(24 * 1024 * 1024, 1))
  const command = `${launcherPath} image import ${path('large')} --name a --store ${store}`
  const output = execFileSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' })
  t.regex(output, /importing .*%/)
  t.regex(lastLine(output).trim(), cidPattern)
})

test('an unexpected error is one line, its stack for those who debug', async t => {
  const store = await openOrCreateStore(join(await temporaryDirectory(t), 'store'))
  await store.close()
  const args = ['image', 'list', '--store', store.directory]
  // A store under whose feet a table is taken away: no error of ours.
  const database = new DatabaseSync(join(store.directory, 'index.sqlite'))
  database.exec('ALTER TABLE releases RENAME TO other')
  database.exec('ALTER TABLE images RENAME TO more')
  database.close()
  const plain = await runBootswarm(t, args)
  t.is(plain.code, 1)
  t.regex(plain.stderr, /^bootswarm: [^\n]+\[ERR_INTERNAL\]\n$/)
  const debug = await runBootswarm(t, args, { env: { BOOTSWARM_LOG: 'debug' } })
  t.regex(debug.stderr, /\n {4}at /)
})

test('diff says what a new version costs; remove and gc give the old one back', async t => {
  const { path, image, cid } = await imported(t)
  const changed = Buffer.concat([bytes.subarray(0, 4 * chunkSize), noise(2 * chunkSize, 77)])
  await writeFile(path('changed'), changed)
  const again = ['import', path('changed'), '--name', 'debian:13', '--chunk-size', '16K']
  t.is((await image(...again)).code, 0)

  const diff = lastObject((await image('diff', 'debian:12', 'debian:13', '--json')).stdout)
  t.like(diff, { event: 'diff', from: cid, chunks: 6, changed: 2, zeroed: 0, moved: 0, added: 2 })
  t.true(Number(diff.addedBytes) >= 2 * chunkSize)
  t.regex((await image('diff', 'debian:13', cid)).stdout, /to fetch +2, /)

  t.is((await image('remove', cid)).code, 1)
  // One of two is misspelt: neither is removed.
  t.is((await image('remove', 'debian:12', 'debian:14')).code, 1)
  const named = await image('remove', 'debian:12', cid)
  t.regex(named.stderr, /\[ERR_IMAGE_NAMED\]/)
  t.true((await image('list')).stdout.includes(cid))
  // One thing named twice is removed once.
  const removed = lastObject((await image('remove', 'debian:12', 'debian:12', '--json')).stdout)
  t.deepEqual(removed, { event: 'removed', name: 'debian:12', cid, imageRemoved: true })
  t.is((await image('show', cid)).code, 1)

  t.regex((await image('gc', '--dry-run')).stdout, /no image needs \d+ chunks/)
  const collected = lastObject((await image('gc', '--json')).stdout)
  t.like(collected, { event: 'collected', dryRun: false, bytesKept: 0 })
  t.true(Number(collected.chunks) > 0)
  t.regex((await image('gc')).stdout, /every chunk of the store is needed/)
  t.is((await image('verify')).code, 0)
})
