import { randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { diskBytes, run, serve, succeed, uriOf } from './nbd-fixture.ts'

for (const over of ['unix', 'tcp'] as const) {
  test(`nbdinfo: says what the server offers, over ${over}`, async t => {
    const { server } = await serve(t, over)
    const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', server.uri)) as NbdInfo
    t.is(info.protocol, 'newstyle-fixed')
    t.false(info.TLS)
    t.like(info.exports[0], {
      'export-name': 'disk',
      description: 'a writable disk',
      'export-size': diskBytes,
      is_read_only: false,
      is_rotational: false,
      can_flush: true,
      can_fua: true,
      can_multi_conn: true,
      can_trim: false,
      can_zero: true,
      can_fast_zero: false,
      can_cache: false,
      can_df: true,
      contexts: ['base:allocation'],
      block_size_minimum: 1,
      block_size_preferred: 4096,
      block_size_maximum: 33554432
    })
  })

  test(`nbdcopy: whole disks both ways, over ${over}`, async t => {
    const { uri, device, directory } = await serve(t, over)
    const out = join(directory, 'out.raw')
    await succeed(t, 'nbdcopy', uri, out)
    t.true(device.bytes.equals(await readFile(out)))
    const content = randomBytes(diskBytes)
    await writeFile(out, content)
    await succeed(t, 'nbdcopy', '--flush', '--connections=4', out, uri)
    t.true(content.equals(device.bytes))
    t.true(device.flushes > 0)
  })
}

function startProgram(t: ExecutionContext, file: string, args: string[]): ChildProcess {
  const child = spawn(file, args, { stdio: 'ignore' })
  t.teardown(() => child.kill())
  return child
}

interface NbdInfo {
  readonly protocol: string
  readonly TLS: boolean
  readonly exports: readonly Record<string, unknown>[]
}

test('nbdinfo: lists every export', async t => {
  const { uri } = await serve(t)
  const info = JSON.parse(await succeed(t, 'nbdinfo', '--list', '--json', uri)) as NbdInfo
  t.deepEqual(
    info.exports.map(each => [each['export-name'], each.description, each.is_read_only]),
    [
      ['disk', 'a writable disk', false],
      ['image', 'a read-only image', true],
      ['mapped', 'a disk that is known', false]
    ]
  )
})

test('nbdinfo: an export that is not there', async t => {
  const { server } = await serve(t)
  t.not((await run(t, 'nbdinfo', '--size', uriOf(server, 'nope'))).code, 0)
  t.is((await succeed(t, 'nbdinfo', '--size', uriOf(server, 'image'))).trim(), '1049088')
})

test('nbdcopy: one connection with small requests, and the read-only export', async t => {
  const { server, image, directory } = await serve(t)
  const out = join(directory, 'image.raw')
  const options = ['--connections=1', '--requests=8', '--request-size=32768']
  await succeed(t, 'nbdcopy', ...options, uriOf(server, 'image'), out)
  t.true(image.bytes.equals(await readFile(out)))
  t.not((await run(t, 'nbdcopy', out, uriOf(server, 'image'))).code, 0)
})

/** What a client sees, asserted in libnbd's own language; its own checks are off where said. */
const script = `
import errno

def fails(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except nbd.Error as error:
        assert error.errnum == code, error
    else:
        raise AssertionError("no error %d" % code)

size = h.get_size()
before = h.pread(size, 0)
h.pwrite(b"x" * 5001, 4095)
h.pwrite(b"y" * 512, size - 512, nbd.CMD_FLAG_FUA)
h.flush()
after = h.pread(size, 0)
assert after == before[:4095] + b"x" * 5001 + before[9096:-512] + b"y" * 512

# Many at once, answered in any order.
buffers = [nbd.Buffer(4096) for _ in range(64)]
for i, buffer in enumerate(buffers):
    h.aio_pread(buffer, i * 4096)
while h.aio_in_flight() > 0:
    h.poll(-1)
for i, buffer in enumerate(buffers):
    assert bytes(buffer.to_bytearray()) == after[i * 4096:(i + 1) * 4096]

# Requests that libnbd itself would not send.
h.set_strict_mode(0)
fails(errno.EINVAL, h.pread, 512, size)
fails(errno.EINVAL, h.pread, 512, size - 511)
fails(errno.ENOSPC, h.pwrite, b"z" * 512, size - 511)
fails(errno.EINVAL, h.pread, 512, 2**63)
fails(errno.EINVAL, h.trim, 512, size)
fails(errno.ENOSPC, h.zero, 512, size)
fails(errno.EINVAL, h.cache, 512, size)
fails(errno.ENOTSUP, h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO)
fails(errno.EINVAL, h.pread, 512, 0, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_REQ_ONE)
fails(errno.EINVAL, h.flush, nbd.CMD_FLAG_DF)
fails(errno.EINVAL, h.block_status, 512, 0, lambda *args: 0)
assert h.pread(512, 0, nbd.CMD_FLAG_DF) == after[:512]
h.trim(512, 0)
h.cache(512, 0)
assert h.pread(0, 0) == b""
h.pwrite(b"", 0)
assert h.pread(size, 0) == after
h.shutdown()
`

test('nbdsh: reads, writes and mistakes, one by one and many at once', async t => {
  const { uri, device } = await serve(t)
  const before = Buffer.from(device.bytes)
  await succeed(t, 'nbdsh', '-u', uri, '-c', script)
  before.fill('x', 4095, 4095 + 5001).fill('y', diskBytes - 512)
  t.true(before.equals(device.bytes))
})

test('nbdinfo: the map of both contexts, and what the device can do', async t => {
  const { server } = await serve(t)
  const uri = uriOf(server, 'mapped')
  const info = JSON.parse(await succeed(t, 'nbdinfo', '--json', uri)) as NbdInfo
  t.like(info.exports[0], {
    can_trim: true,
    can_zero: true,
    can_fast_zero: true,
    can_cache: true,
    contexts: ['base:allocation', 'bootswarm:presence']
  })
  const map = async (context: string): Promise<unknown[]> => {
    const text = await succeed(t, 'nbdinfo', '--json', `--map=${context}`, uri)
    return (JSON.parse(text) as Record<string, number>[]).map(({ offset, length, type }) => [
      offset,
      length,
      type
    ])
  }
  const MiB = 1024 * 1024
  t.deepEqual(await map('base:allocation'), [
    [0, MiB, 0],
    [MiB, 2 * MiB, 3],
    [3 * MiB, 5 * MiB, 0]
  ])
  t.deepEqual(await map('bootswarm:presence'), [
    [0, 3 * MiB, 0],
    [3 * MiB, MiB, 1],
    [4 * MiB, 4 * MiB, 2]
  ])
})

test('nbdcopy and nbdsh: holes are not sent, zeros not written, one piece where asked for', async t => {
  const { server, mapped, directory } = await serve(t)
  const uri = uriOf(server, 'mapped')
  const out = join(directory, 'out.raw')
  await succeed(t, 'nbdcopy', '--connections=4', uri, out)
  t.true(mapped.memory.bytes.equals(await readFile(out)))
  t.false(
    mapped.calls.some(call => Number(call.split(' ')[1]) === 1024 * 1024),
    'a hole was read'
  )
  const steps = `
chunks = []
def chunk(data, offset, status, error):
    chunks.append((offset, len(data), status))
h.pread_structured(2**20, 2**20 - 4096, chunk)
assert chunks == [(2**20 - 4096, 4096, nbd.READ_DATA), (2**20, 2**20 - 4096, nbd.READ_HOLE)], chunks
chunks.clear()
h.pread_structured(2**20, 2**20 - 4096, chunk, nbd.CMD_FLAG_DF)
assert chunks == [(2**20 - 4096, 2**20, nbd.READ_DATA)], chunks
h.zero(5 * 2**20, 0, nbd.CMD_FLAG_FAST_ZERO)
h.trim(4096, 5 * 2**20)
h.cache(4096, 3 * 2**20)
h.shutdown()
`
  await succeed(t, 'nbdsh', '-u', uri, '-c', steps)
  t.deepEqual(mapped.calls.slice(-3), [
    'zero 0 5242880',
    'trim 5242880 4096',
    'prefetch 3145728 4096'
  ])
  const blank = join(directory, 'blank.raw')
  await writeFile(blank, randomBytes(diskBytes).fill(0, 4096, diskBytes - 4096))
  await succeed(t, 'nbdcopy', '--destination-is-zero', blank, uri)
  await succeed(t, 'nbdcopy', blank, uri)
  t.true((await readFile(blank)).equals(mapped.memory.bytes))
})

test('nbdfuse: a mounted file reads and writes as the disk does', async t => {
  const { uri, device, directory } = await serve(t)
  const point = join(directory, 'mounted')
  await writeFile(point, '')
  const fuse = startProgram(t, 'nbdfuse', [point, uri])
  while ((await stat(point)).size !== diskBytes) {
    if (fuse.exitCode !== null) throw new Error('nbdfuse ended')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  t.true(device.bytes.equals(await readFile(point)))
  const file = await open(point, 'r+')
  await file.write(Buffer.alloc(5000, 'f'), 0, 5000, 12_345)
  await file.sync()
  await file.close()
  t.true(device.bytes.subarray(12_345, 17_345).equals(Buffer.alloc(5000, 'f')))
  await succeed(t, 'umount', point)
})

test('nbdsh: a handshake step by step, by the old way too', async t => {
  const { server } = await serve(t)
  const socket = server.address.slice('unix:'.length)
  const steps = `
h.set_opt_mode(True)
h.connect_unix(${JSON.stringify(socket)})
names = []
h.opt_list(lambda name, description: names.append((name, description)))
assert [name for name, _ in names] == ["disk", "image", "mapped"], names
assert names[1][1] == "a read-only image", names
h.set_export_name("nope")
try:
    h.opt_info()
    raise AssertionError("an export named nope")
except nbd.Error:
    pass
h.set_export_name("image")
h.set_full_info(True)
h.opt_info()
assert h.get_size() == 1049088 and h.is_read_only()
assert h.get_canonical_export_name() == "image"
assert h.get_export_description() == "a read-only image"
h.opt_go()
assert len(h.pread(512, 1048576)) == 512
h.shutdown()

h = nbd.NBD()
h.set_handshake_flags(0)
h.set_export_name("image")
h.connect_unix(${JSON.stringify(socket)})
assert h.get_size() == 1049088
h.shutdown()

h = nbd.NBD()
h.set_opt_mode(True)
h.connect_unix(${JSON.stringify(socket)})
h.opt_abort()
`
  await succeed(t, 'nbdsh', '-c', steps)
  t.pass()
})
