import { join } from 'node:path'
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

/** A disk of 100 GB, some of it there, is opened again: until it can be read, and what memory that takes. */
export async function measureRestart(directory: string): Promise<Restart> {
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
  for (let write = 0; write < 500; write++) await first.write(write * 100_003, chunk)
  await first.close()
  globalThis.gc?.()
  const before = memory()
  const start = performance.now()
  const second = await TargetDisk.open(options)
  await second.read(0, 4096)
  const seconds = (performance.now() - start) / 1_000
  globalThis.gc?.()
  const memoryBytes = memory() - before
  await second.close()
  return { seconds, memoryBytes }
}

function memory(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
