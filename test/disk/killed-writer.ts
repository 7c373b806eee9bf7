// A process that streams and writes until it is killed: one line for each write that was flushed.
import { TargetDisk } from '../../src/disk/index.ts'
import { flushEvery, writeOf } from './flushed-writes.ts'
import { optionsFor, sampleImage } from './samples.ts'

const [path = '', firstWrite = '0', metadataPath] = process.argv.slice(2)
const image = sampleImage(1, 40 * 16384, { zeroChunks: [5, 6] })
const disk = await TargetDisk.open(optionsFor(path, image, { metadataPath }))
for (let position = 0; position < image.chunkCount; position++) {
  if (position === 5 || position === 6) disk.placeZero(position)
  else void disk.place(position, image.chunk(position))
}
for (let number = Number(firstWrite); ; number++) {
  const { block, fill } = writeOf(number, image)
  await disk.write(block * 4096, Buffer.alloc(4096, fill))
  if (number % flushEvery === 0) {
    await disk.flush()
    // Waited for: lines that are only in this process die with it.
    await new Promise(resolve => process.stdout.write(`${number}\n`, resolve))
  }
}
