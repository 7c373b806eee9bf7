import { access, open } from 'node:fs/promises'
import { connect } from 'node:net'
import test from 'ava'
import { chunkBytes, noiseImage } from './images.ts'
import { Lab } from './lab.ts'

// The agent's side of a hand-over, as a boot environment uses it; test/boot has the machine's.

function ask(path: string, word: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${word}\n`))
    let text = ''
    socket.setEncoding('utf8')
    socket.on('error', reject)
    socket.on('data', (piece: string) => {
      text += piece
      if (!text.endsWith('\n')) return
      socket.destroy()
      resolve(JSON.parse(text) as Record<string, unknown>)
    })
  })
}

test('a machine that has its disk serves its peers what still is the image, and can be given another', async t => {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), 8)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  const ticket = await lab.ticket()
  const control = lab.path('control')
  const extra = ['--control', `unix:${control}`]
  const first = await lab.startAgent({ name: 'a', ticket, extra })
  await first.until('complete')
  const client = await first.client()
  await client.write(3 * chunkBytes, Buffer.alloc(4096, 'of the machine'))
  t.deepEqual(await ask(control, 'status'), { ok: true, complete: true, handedOver: false })
  t.is((await ask(control, 'prepare')).ok, true)
  t.deepEqual(await ask(control, 'seal'), { ok: true, complete: true, handedOver: true })
  await t.throwsAsync(client.write(0, Buffer.alloc(512)))
  t.is((await ask(control, 'release')).ok, true)
  await first.until('handed-over')
  await t.throwsAsync(access(first.socket), { code: 'ENOENT' })

  // The machine goes on writing, which the agent does not see.
  const disk = await open(first.disk, 'r+')
  const own = Buffer.alloc(4096, 'of the machine')
  await disk.write(own, 0, own.length, 9 * chunkBytes)
  await disk.close()
  const second = await lab.startAgent({ name: 'b', ticket, extra: ['--until', 'complete'] })
  const { bytesFromPeers } = await second.until('complete')
  await second.until('stopped')
  t.true(bytes.equals(await second.read()), 'nothing of what the machine wrote')
  t.log(`${String(bytesFromPeers)} bytes from the machine that was handed over`)
  await first.process.stop()

  const again = await lab.startAgent({ name: 'a', ticket, extra })
  await again.until('complete')
  t.is((await ask(control, 'status')).handedOver, true)
  await again.process.stop()
  const kept = await again.read()
  t.true(kept.subarray(9 * chunkBytes, 9 * chunkBytes + 4096).equals(own))

  // Another image: nothing of the map is believed, everything is hashed.
  const { path: nextPath, bytes: next } = await noiseImage(lab.path('next'), 1)
  const file = await open(nextPath, 'r+')
  await file.write(bytes.subarray(0, 8 * chunkBytes), 0, 8 * chunkBytes, chunkBytes)
  await file.close()
  bytes.copy(next, chunkBytes, 0, 8 * chunkBytes)
  await lab.importImage(nextPath, 'lab')
  const other = await lab.startAgent({
    name: 'a',
    ticket,
    extra: ['--redeploy', '--until', 'complete']
  })
  const complete = await other.until('complete')
  await other.until('stopped')
  t.true(other.has('scanning'))
  t.true(next.equals(await other.read()))
  // Chunk 3 was put aside before the machine wrote into it, so that all eight could be used.
  t.true(Number(complete.bytesLocal) >= 8 * chunkBytes, String(complete.bytesLocal))
  await seed.stop()
})
