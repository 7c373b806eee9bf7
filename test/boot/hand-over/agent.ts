import { open } from 'node:fs/promises'
import { ControlSocket } from '../../../src/agent/control-socket.ts'
import { silentLogger } from '../../../src/base/index.ts'
import { TargetDisk } from '../../../src/disk/index.ts'
import { chunkIdOf, isZero, zeroId } from '../../../src/image/index.ts'
import { startNbdServer } from '../../../src/nbd/index.ts'

// In the guest: an agent without a swarm. What it has from its peers lies in a file here; the disk,
// the NBD socket and the control socket are the real ones.

const [path = '', imageFile = '', directory = ''] = process.argv.slice(2)
const chunkSize = 128 * 1024
const file = await open(imageFile)
const { size } = await file.stat()
const chunkCount = Math.ceil(size / chunkSize)
const names: string[] = []

async function chunk(position: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.min(chunkSize, size - position * chunkSize))
  await file.read(bytes, 0, bytes.length, position * chunkSize)
  return bytes
}

const disk = await TargetDisk.open({
  path,
  image: { imageId: chunkIdOf(Buffer.from(imageFile)), size, chunkSize, chunkCount },
  labKey: new Uint8Array(32),
  logger: silentLogger,
  onNeed: () => {},
  onNeedless: () => {}
})
for (let position = 0; !disk.markedComplete && position < chunkCount; position++) {
  const plain = await chunk(position)
  names.push(isZero(plain) ? zeroId : chunkIdOf(plain))
  if (!disk.needs(position)) continue
  if (isZero(plain)) disk.placeZero(position)
  else await disk.place(position, plain)
}
if (!disk.markedComplete) {
  await disk.finish()
  const { badChunks } = await disk.verify({ chunkIdAt: position => names[position] })
  if (badChunks.length > 0) throw new Error(`bad chunks: ${badChunks.join()}`)
  await disk.markComplete()
}

const server = await startNbdServer({
  address: { kind: 'unix', path: `${directory}/nbd` },
  exports: [{ name: '', description: '', device: disk.device, readOnly: disk.handedOver }],
  logger: silentLogger
})
const handlers = {
  status: () => ({ complete: disk.markedComplete, handedOver: disk.handedOver }),
  prepare: () => disk.prepareHandOver(),
  seal: () => disk.handOver(),
  release: async () => {
    await disk.handOver()
    await server.close()
  }
}
await ControlSocket.start(`unix:${directory}/control`, handlers, silentLogger)
process.stdout.write(`agent is ready, handed over: ${disk.handedOver}\n`)
