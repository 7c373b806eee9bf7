import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { silentLogger } from '../../src/base/index.ts'
import { TargetDisk } from '../../src/disk/index.ts'

const size = 100e9 - (100e9 % 4096)
const chunkSize = 128 * 1024
const image = {
  imageId: '11'.repeat(32),
  size,
  chunkSize,
  chunkCount: Math.ceil(size / chunkSize)
}

export interface Restart {
  readonly seconds: number
  readonly memoryBytes: number
}

/**
 * A disk of 100 GB, some of it there, is opened again: until it can be read, and what memory that takes;
 * in a process of its own, in whose memory nothing else comes and goes.
 */
export async function measureRestart(directory: string): Promise<Restart> {
  const self = fileURLToPath(import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', self, directory])
  return JSON.parse(stdout) as Restart
}

async function restart(directory: string): Promise<Restart> {
  const options = {
    path: join(directory, 'large-disk'),
    image,
    labKey: new Uint8Array(32),
    logger: silentLogger,
    onNeed: () => {},
    onNeedless: () => {}
  }
  const first = await TargetDisk.open(options)
  const chunk = Buffer.alloc(chunkSize, 1)
  for (let position = 0; position < 2000; position++) await first.place(position * 300, chunk)
  for (let write = 0; write < 400; write++) await first.write(write * 50_000 * 4096, chunk)
  await first.close()
  await collected()
  const before = memory()
  const start = performance.now()
  const second = await TargetDisk.open(options)
  await second.read(0, 4096)
  const seconds = (performance.now() - start) / 1_000
  await collected()
  const memoryBytes = memory() - before
  await second.close()
  return { seconds, memoryBytes }
}

/** What lies outside the heap is given back behind the collection. */
async function collected(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await sleep(50)
  }
}

function memory(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const [, script, directory] = process.argv
if (script === fileURLToPath(import.meta.url) && directory !== undefined) {
  console.log(JSON.stringify(await restart(directory)))
}
