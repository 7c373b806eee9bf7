import { execFile } from 'node:child_process'
import { chmod, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { buildDemoImage } from '../../src/demo/build-image.ts'
import { projectRoot, runProgram, temporaryDirectory } from '../helpers/process.ts'

const run = promisify(execFile)
const sizeBytes = 64 * 1024 * 1024

async function debugfs(image: string, request: string): Promise<string> {
  return (await run('/usr/sbin/debugfs', ['-R', request, image])).stdout
}

async function assertSound(t: ExecutionContext, image: string): Promise<void> {
  const checked = await runProgram(t, '/usr/sbin/e2fsck', ['-fn', image])
  t.is(checked.code, 0, checked.stdout)
}

test('the image is a sound ext4 of the size asked for, about half full, and sparse', async t => {
  const workDir = await temporaryDirectory(t)
  const path = join(workDir, 'demo.img')
  const progress: number[] = []
  await buildDemoImage({ path, workDir, sizeBytes, onProgress: bytes => progress.push(bytes) })
  await assertSound(t, path)
  const { size, blocks } = await stat(path)
  t.is(size, sizeBytes)
  t.true(blocks * 512 > sizeBytes * 0.4, `${blocks * 512} bytes of data`)
  t.true(blocks * 512 < sizeBytes * 0.75, `${blocks * 512} bytes of data`)
  t.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b)
  )
  t.true((progress.at(-1) ?? 0) > sizeBytes * 0.4)
  t.deepEqual(await readdir(workDir), ['demo.img'])
})

test("its files are this machine's, byte for byte, and its links are links", async t => {
  const workDir = await temporaryDirectory(t)
  const path = join(workDir, 'demo.img')
  await buildDemoImage({ path, workDir, sizeBytes })
  const listing = await debugfs(path, 'ls -p /usr/bin')
  // /inode/mode/uid/gid/name/size/
  const entries = listing.split('\n').map(line => line.split('/'))
  const named = (type: string): string[] =>
    entries.filter(entry => entry[2]?.startsWith(type)).map(entry => entry[5] ?? '')
  const [files, links] = [named('10'), named('12')]
  t.true(files.length > 10 && links.length > 0, listing)
  for (const name of files.slice(0, 10)) {
    const copy = join(workDir, 'copy')
    await debugfs(path, `dump /usr/bin/${name} ${copy}`)
    t.deepEqual(await readFile(copy), await readFile(join('/usr/bin', name)), name)
  }
})

test('it needs no root', async t => {
  const workDir = await temporaryDirectory(t)
  await chmod(workDir, 0o777)
  const path = join(workDir, 'demo.img')
  const module = JSON.stringify(join(projectRoot, 'src/demo/build-image.ts'))
  const options = JSON.stringify({ path, workDir, sizeBytes })
  const program = `const { buildDemoImage } = await import(${module}); await buildDemoImage(${options})`
  const built = await runProgram(t, process.execPath, ['--input-type=module', '-e', program], {
    uid: process.getuid?.() === 0 ? 65_534 : undefined,
    cwd: workDir
  })
  t.is(built.code, 0, built.stderr)
  await assertSound(t, path)
})

test('stopped, it leaves nothing behind', async t => {
  const workDir = await temporaryDirectory(t)
  const stop = new AbortController()
  const building = buildDemoImage({
    path: join(workDir, 'demo.img'),
    workDir,
    sizeBytes,
    signal: stop.signal,
    onProgress: () => stop.abort()
  })
  await t.throwsAsync(building, { code: 'ERR_STOPPED' })
  t.deepEqual(await readdir(workDir), [])
})

test('a place that cannot be written to is named', async t => {
  const workDir = await temporaryDirectory(t)
  const path = join(workDir, 'no-such-folder', 'demo.img')
  const error = await t.throwsAsync(buildDemoImage({ path, workDir, sizeBytes }), {
    code: 'ERR_DISK_IO'
  })
  t.true(error?.message.includes(path))
  t.deepEqual(await readdir(workDir), [])
})
