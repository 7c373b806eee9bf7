import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'
import { TargetDisk } from '../../src/disk/index.ts'
import { optionsFor, placeAll, sampleImage, temporaryDirectory } from './samples.ts'

const image = sampleImage(1, 40 * 16384, { zeroChunks: [5, 6] })
const blockCount = image.size / 4096

/** Runs the writer until it has flushed some writes, kills it, and returns the last flushed one. */
async function runAndKill(path: string, firstWrite: number, flushes: number): Promise<number> {
  const script = join(import.meta.dirname, 'killed-writer.ts')
  const child = spawn(process.execPath, [script, path, String(firstWrite)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  let last = -1
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line)
    if (++seen === flushes) child.kill('SIGKILL')
  }
  await exited
  return last
}

test('a process that is killed keeps what it flushed, and nothing of it counts as the image', async t => {
  const path = join(await temporaryDirectory(t), 'disk')
  let next = 0
  const flushed = new Map<number, number>()
  const tried = new Map<number, Set<number>>()
  for (const flushes of [1, 12, 30]) {
    const last = await runAndKill(path, next, flushes)
    t.true(last >= next)
    // After the last line it may have gone on for a while.
    for (let number = next; number <= last + 2000; number++) {
      const block = (number * 7) % blockCount
      if (number > last) tried.set(block, (tried.get(block) ?? new Set()).add(1 + (number % 250)))
      else {
        flushed.set(block, 1 + (number % 250))
        tried.delete(block)
      }
    }
    next = last + 1
  }
  const disk = await TargetDisk.open(optionsFor(path, image))
  await placeAll(disk, image)
  await disk.finish()
  const report = await disk.verify(image)
  t.deepEqual(report.badChunks, [])
  t.true(report.machineWrittenBytes >= flushed.size * 4096)
  await disk.close()
  const bytes = await readFile(path)
  for (let block = 0; block < blockCount; block++) {
    const actual = bytes.subarray(block * 4096, (block + 1) * 4096)
    const value = flushed.get(block)
    const before =
      value === undefined
        ? image.bytes.subarray(block * 4096, (block + 1) * 4096)
        : Buffer.alloc(4096, value)
    const later = [...(tried.get(block) ?? [])].map(fill => Buffer.alloc(4096, fill))
    t.true(
      [before, ...later].some(allowed => allowed.equals(actual)),
      `block ${block}`
    )
  }
})
