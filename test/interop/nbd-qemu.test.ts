import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { diskBytes, run, serve, succeed, uriOf } from './nbd-fixture.ts'

for (const over of ['unix', 'tcp'] as const) {
  test(`qemu-img: compare and convert both ways, over ${over}`, async t => {
    const { uri, device, directory } = await serve(t, over)
    const raw = join(directory, 'disk.raw')
    await writeFile(raw, device.bytes)
    await succeed(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, raw)

    device.bytes[4_000_000] = (device.bytes[4_000_000] ?? 0) ^ 1
    t.is((await run(t, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, raw)).code, 1)

    const qcow2 = join(directory, 'disk.qcow2')
    await succeed(t, 'qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', uri, qcow2)
    await succeed(t, 'qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', qcow2, uri)
    await succeed(t, 'qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', qcow2, raw)
    t.true(device.bytes.equals(await readFile(raw)))

    const content = randomBytes(diskBytes)
    content.fill(0, 1_000_000, 3_000_000)
    await writeFile(raw, content)
    await succeed(t, 'qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', raw, uri)
    t.true(content.equals(device.bytes))
  })
}

test('qemu-img map: what is zeros and what is data; convert leaves the zeros out', async t => {
  const { server, mapped, directory } = await serve(t)
  const uri = uriOf(server, 'mapped')
  const text = await succeed(t, 'qemu-img', 'map', '-f', 'raw', '--output=json', uri)
  const runs = JSON.parse(text) as { start: number; length: number; zero: boolean }[]
  const MiB = 1024 * 1024
  t.deepEqual(
    runs.map(({ start, length, zero }) => [start, length, zero]),
    [
      [0, MiB, false],
      [MiB, 2 * MiB, true],
      [3 * MiB, 5 * MiB, false]
    ]
  )
  const raw = join(directory, 'out.raw')
  await succeed(t, 'qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri, raw)
  t.true(mapped.memory.bytes.equals(await readFile(raw)))
})

test('qemu-io: zeros by the device, with and without room kept, and discarded ranges', async t => {
  const { server, mapped } = await serve(t)
  const uri = uriOf(server, 'mapped')
  const commands = ['write -z 4M 1M', 'write -z -u 5M 1M', 'discard 6M 1M', 'read -P 0 4M 2M']
  const all = commands.flatMap(each => ['-c', each])
  const output = await succeed(t, 'qemu-io', '-f', 'raw', '-d', 'unmap', ...all, uri)
  t.notRegex(output, /verification failed|error/i)
  t.true(mapped.calls.includes('zero 5242880 1048576'))
  t.true(mapped.calls.includes('trim 6291456 1048576'))
  t.true(mapped.memory.bytes.subarray(4 << 20, 6 << 20).every(byte => byte === 0))
})

test('qemu-img info: the size', async t => {
  const { uri } = await serve(t)
  const info = JSON.parse(await succeed(t, 'qemu-img', 'info', '--output=json', uri)) as object
  t.like(info, { 'virtual-size': diskBytes, format: 'raw' })
})

test('qemu-io: patterns at odd places, written with FUA, many at once, zeros, and past the end', async t => {
  const { uri, device } = await serve(t)
  const before = Buffer.from(device.bytes)
  const commands = [
    'write -P 0x11 0 64k',
    'write -f -P 0x22 65537 3001',
    'aio_write -P 0x33 1M 1M',
    'aio_write -P 0x44 3M 512k',
    'aio_flush',
    'write -z 2M 64k',
    'flush',
    'read -P 0x11 0 64k',
    'read -P 0x22 65537 3001',
    'read -P 0x33 1M 1M',
    'read -P 0x44 3M 512k',
    'read -P 0 2M 64k'
  ]
  const output = await succeed(
    t,
    'qemu-io',
    '-f',
    'raw',
    ...commands.flatMap(each => ['-c', each]),
    uri
  )
  t.notRegex(output, /verification failed|error/i)
  const MiB = 1024 * 1024
  before.fill(0x11, 0, 65_536).fill(0x22, 65_537, 68_538)
  before
    .fill(0x33, MiB, 2 * MiB)
    .fill(0x44, 3 * MiB, 3.5 * MiB)
    .fill(0, 2 * MiB, 2 * MiB + 65_536)
  t.true(before.equals(device.bytes))
  const beyond = await run(t, 'qemu-io', '-f', 'raw', '-c', `read ${diskBytes} 512`, uri)
  t.not(beyond.code, 0)
})
