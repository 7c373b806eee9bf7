import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { FlushedWrites } from './flushed-writes.ts'
import { fuseDisk } from './fuse-disk.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(1, 40 * 16384, { zeroChunks: [5, 6] })

/** Runs the writer until it has flushed some writes, then `kill`s; returns the last flushed one. */
async function runAndKill(
  args: readonly string[],
  flushes: number,
  kill: () => Promise<void>
): Promise<number> {
  const script = join(import.meta.dirname, 'killed-writer.ts')
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  let last = -1
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line)
    if (++seen !== flushes) continue
    await kill()
    child.kill('SIGKILL')
  }
  await exited
  return last
}

async function checkDisk(
  t: ExecutionContext,
  path: string,
  metadataPath: string | undefined,
  writes: FlushedWrites
): Promise<void> {
  const disk = await TargetDisk.open(optionsFor(path, image, { metadataPath }))
  await placeAll(disk, image)
  await disk.finish()
  // A write that nobody flushed may be there without a record of it, and its chunk not put aside yet.
  for (const chunk of (await disk.verify(image)).badChunks) await disk.distrust(chunk)
  await placeAll(disk, image)
  const report = await disk.verify(image)
  t.deepEqual(report.badChunks, [])
  t.true(report.machineWrittenBytes >= writes.flushedBytes)
  await disk.close()
  t.deepEqual(writes.strangeSectors((await readFile(path)).subarray(0, image.size)), [])
}

test('a process that is killed keeps what it flushed, and nothing of it counts as the image', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  const writes = new FlushedWrites(image)
  for (const flushes of [1, 12, 30]) {
    const last = await runAndKill([path, String(writes.next)], flushes, () => Promise.resolve())
    t.true(last >= writes.next)
    writes.diedAfter(last)
  }
  await checkDisk(t, path, undefined, writes)
})

// A killed process leaves all that it wrote in the page cache. Here nbdkit has it in a cache of its
// own and is killed, too: what nobody flushed is lost, as when the power goes.
test('so does one whose disk loses all that was not flushed', async t => {
  const directory = await temporaryDirectory(t)
  const asideBytes = Math.min(limits.asideBytesMax, image.size)
  const { journalBytes } = limits
  const metadataBytes = regionsOf(image, { journalBytes, asideBytes }).totalBytes
  const writes = new FlushedWrites(image)
  const plug = async (name: string, size: number): ReturnType<typeof fuseDisk> => {
    const disk = await fuseDisk(directory, name, size, ['cache'], ['cache=writeback'])
    t.teardown(() => disk.kill())
    return disk
  }
  for (const flushes of [2, 25, 60, 25]) {
    const target = await plug('disk', image.size)
    const metadata = await plug('metadata', metadataBytes)
    const pull = async (): Promise<void> => {
      await Promise.all([target.kill(), metadata.kill()])
    }
    const args = [target.path, String(writes.next), metadata.path]
    const last = await runAndKill(args, flushes, pull)
    t.true(last >= writes.next, `it flushed nothing after ${writes.next}`)
    writes.diedAfter(last)
  }
  const target = await plug('disk', image.size)
  const metadata = await plug('metadata', metadataBytes)
  await checkDisk(t, target.path, metadata.path, writes)
})
