import { monitorEventLoopDelay } from 'node:perf_hooks'
import { silentLogger } from '../../src/base/index.ts'
import { TargetDisk } from '../../src/disk/index.ts'
import { chunkIdOf } from '../../src/image/index.ts'
import { parseNbdAddress, startNbdServer } from '../../src/nbd/index.ts'
import { diskMiB } from './fio.ts'

// A process of its own: what an agent does once its disk is complete, and nothing else. It is told
// `begin` before a measurement and answers `end` with how late its event loop was, in milliseconds.

const [path = '', socket = ''] = process.argv.slice(2)
const chunkSize = 128 * 1024
const size = diskMiB * 1024 * 1024

const disk = await TargetDisk.open({
  path,
  image: {
    imageId: chunkIdOf(Buffer.from('bench')),
    size,
    chunkSize,
    chunkCount: size / chunkSize
  },
  labKey: new Uint8Array(32),
  force: true,
  logger: silentLogger,
  onNeed: () => {},
  onNeedless: () => {}
})
for (let position = 0; position < size / chunkSize; position++) {
  await disk.place(position, Buffer.alloc(chunkSize, 1 + (position % 255)))
}
// All of it is the machine's: what a first write into a pristine chunk costs is the disk's business.
for (let offset = 0; offset < size; offset += chunkSize) {
  await disk.write(offset, Buffer.alloc(chunkSize, 7))
}
await disk.flush()
await startNbdServer({
  address: parseNbdAddress(`unix:${socket}`),
  exports: [{ name: '', description: '', device: disk, readOnly: false }],
  logger: silentLogger
})

const delay = monitorEventLoopDelay({ resolution: 2 })
process.on('message', message => {
  if (message === 'begin') {
    delay.reset()
    delay.enable()
  }
  if (message !== 'end') return
  delay.disable()
  // The monitor's own timer is part of what it measures.
  process.send?.({ p99Ms: delay.percentile(99) / 1e6 - 2 })
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
