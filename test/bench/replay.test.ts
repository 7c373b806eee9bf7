import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadScript, replay, waitsOf } from '../../bench/lab/replay.ts'
import { NbdClient, parseNbdAddress, startNbdServer } from '../../src/nbd/index.ts'
import { createLogger } from '../../src/observe/index.ts'
import { memoryDevice } from '../helpers/memory-device.ts'
import { temporaryDirectory } from '../helpers/process.ts'

const trace = {
  image: 'bafyimage',
  reads: [
    { seconds: 0, offset: 512, length: 1024 },
    { seconds: 0.01, offset: 0, length: 512 },
    { seconds: 0.02, offset: 2048, length: 6144 }
  ]
}

function imageBytes(): Buffer {
  return Buffer.from(Array.from({ length: 8192 }, (_, index) => index % 251))
}

async function connected(t: ExecutionContext, bytes: Buffer, folder: string): Promise<NbdClient> {
  const device = memoryDevice(bytes)
  const server = await startNbdServer({
    address: parseNbdAddress(`unix:${join(folder, 'disk.sock')}`),
    exports: [{ name: '', description: '', device, readOnly: true }],
    logger: createLogger({ name: 'test' })
  })
  t.teardown(() => server.close())
  return NbdClient.connect(parseNbdAddress(server.address))
}

test('every read of the trace is sent and measured', async t => {
  const folder = await temporaryDirectory(t)
  const image = join(folder, 'image')
  await writeFile(image, imageBytes())
  const script = await loadScript(trace, image)
  t.is(Math.round(script.thinkMs * 10), 30)
  const client = await connected(t, imageBytes(), folder)
  const { latencyMs, endedAtMs, firstReplyAtMs, late } = await replay(client, script)
  await client.close()
  t.is(latencyMs.count, trace.reads.length)
  t.true(endedAtMs >= firstReplyAtMs)
  t.is(late, 0)
})

test('a byte that is not the image’s ends the replay', async t => {
  const folder = await temporaryDirectory(t)
  const image = join(folder, 'image')
  await writeFile(image, imageBytes())
  const wrong = imageBytes()
  wrong[8191] = (wrong[8191] ?? 0) ^ 1
  const client = await connected(t, wrong, folder)
  await t.throwsAsync(replay(client, await loadScript(trace, image)), { message: /2048/ })
  await client.close()
})

test('waiting is what a read takes beyond five milliseconds', t => {
  t.deepEqual(waitsOf([1, 5, 6, 1005]), { seconds: 1.001, reads: 2 })
  t.deepEqual(waitsOf([]), { seconds: 0, reads: 0 })
})
