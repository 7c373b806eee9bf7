import { execFile } from 'node:child_process'
import { mkdir, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { limits } from '../../src/base/index.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { fuseDisk } from '../disk/fuse-disk.ts'
import { succeed } from '../interop/nbd-fixture.ts'
import { until } from '../nbd/test-server.ts'
import { chunkBytes, MiB, noiseImage } from './images.ts'
import { Lab, slowTicket, type LabAgent } from './lab.ts'

// A whole agent on a disk that fails, is full, or loses what was not flushed, and what its NBD clients
// see of it.

const run = promisify(execFile)
const blockBytes = 4096

async function labWithImage(t: ExecutionContext, stored: number) {
  const lab = await Lab.make(t)
  const { path, bytes } = await noiseImage(lab.path('image'), stored)
  await lab.importImage(path, 'lab')
  const seed = await lab.startSeed()
  return { lab, bytes, seed, ticket: await lab.ticket() }
}

function metadataBytes(size: number): number {
  const image = {
    imageId: '',
    size,
    chunkSize: chunkBytes,
    chunkCount: Math.ceil(size / chunkBytes)
  }
  const asideBytes = Math.min(limits.asideBytesMax, Math.ceil(size / blockBytes) * blockBytes)
  return regionsOf(image, { journalBytes: limits.journalBytes, asideBytes }).totalBytes
}

/** What nbdsh prints: the last line of a script for the agent's export, `h`. */
async function nbdsh(t: ExecutionContext, agent: LabAgent, script: string): Promise<string> {
  return (await succeed(t, 'nbdsh', '-u', agent.uri, '-c', script)).trim()
}

/** The name of the error that one request, and the flush behind it, is answered with; '' if none. */
function errorOf(t: ExecutionContext, agent: LabAgent, request: string): Promise<string> {
  const script = `
try:
    ${request}
    h.flush()
except nbd.Error as error:
    print(error.errno)
`
  return nbdsh(t, agent, script)
}

/** Blocks of one fill, told apart by their numbers: a write of this test. */
function blockOf(number: number): Buffer {
  const block = Buffer.alloc(blockBytes, `write ${number} `)
  block.writeUInt32BE(number, 0)
  return block
}

test('a machine that loses power, its disk’s cache with it, has what it flushed and the image', async t => {
  const { lab, bytes, ticket } = await labWithImage(t, 8)
  const slow = await slowTicket(t, ticket, 2 * MiB)
  const plug = async (name: string, size: number): ReturnType<typeof fuseDisk> =>
    fuseDisk(lab.directory, name, size, ['cache'], ['cache=writeback'])
  const plugAll = () =>
    Promise.all([plug('a.disk', bytes.length), plug('metadata', metadataBytes(bytes.length))])
  const extra = ['--metadata', lab.path('metadata')]
  const possible = new Map<number, Buffer[]>()
  const atBlock = (block: number): Buffer =>
    bytes.subarray(block * blockBytes, (block + 1) * blockBytes)
  let number = 0
  for (const life of [0, 1]) {
    const disks = await plugAll()
    const agent = await lab.startAgent({ name: 'a', ticket: slow, extra })
    await agent.until('ready')
    const client = await agent.client()
    const unflushed = new Set<number>()
    // Into what is here, what is still to come, and zeros; some of it twice, the last of it not flushed.
    for (let write = 0; write < 60; write++, number++) {
      const block = (write * 37 + life * 11) % Math.floor(bytes.length / blockBytes)
      const data = blockOf(number)
      await client.write(block * blockBytes, data)
      possible.set(block, [...(possible.get(block) ?? [atBlock(block)]), data])
      unflushed.add(block)
      if (write % 7 !== 0) continue
      await client.flush()
      for (const flushed of unflushed) {
        possible.set(flushed, possible.get(flushed)?.slice(-1) ?? [])
      }
      unflushed.clear()
    }
    await Promise.all([...disks.map(disk => disk.kill()), agent.process.kill()])
  }
  const disks = await plugAll()
  t.teardown(() => Promise.all(disks.map(disk => disk.kill())))
  const agent = await lab.startAgent({ name: 'a', ticket, extra })
  t.like(await agent.until('complete'), { verified: true })
  const found = await (await agent.client()).read(0, bytes.length)
  for (const [block, versions] of possible) {
    const at = block * blockBytes
    const data = found.subarray(at, at + blockBytes)
    t.true(
      versions.some(version => version.equals(data)),
      `block ${block} holds none of ${versions.length} things that it may`
    )
    data.copy(bytes, at)
  }
  t.true(bytes.equals(found), 'the rest is the image')
  t.deepEqual(await agent.process.stop(), { code: 0, signal: null })
  t.true(bytes.equals(await agent.read()), 'and so it is on the disk')
})

test('a disk that cannot be read or written: what peers have is fetched again, the rest is EIO', async t => {
  const { lab, bytes, seed, ticket } = await labWithImage(t, 2)
  const trouble = lab.path('trouble')
  const rates = ['error-pread-rate=1', 'error-pwrite-rate=1', `error-file=${trouble}`]
  const fuse = await fuseDisk(lab.directory, 'a.disk', bytes.length, ['error'], rates)
  t.teardown(() => fuse.kill())
  const extra = ['--metadata', lab.path('metadata')]
  const first = await lab.startAgent({ name: 'a', ticket, extra })
  await first.until('complete')
  await nbdsh(t, first, 'h.pwrite(b"1" * 4096, 131072); h.flush()')
  await first.process.stop()

  // Opened anew: nothing of the disk is in memory.
  const env = { BOOTSWARM_LOG: 'warn' }
  const agent = await lab.startAgent({ name: 'a', ticket, extra, env })
  await agent.until('progress', ({ peers }) => Number(peers) > 0)
  await writeFile(trouble, '')
  t.is(await errorOf(t, agent, 'h.pwrite(b"2" * 4096, 135168)'), 'EIO', 'a write is no lie')
  t.is(await errorOf(t, agent, 'h.pread(4096, 131072)'), 'EIO', 'nobody else has what it wrote')
  // What the image has there is asked for again. It comes only once the trouble is over: a chunk that
  // cannot be written either is EIO for who reads it.
  process.kill(seed.pid, 'SIGSTOP')
  const reading = (await agent.client()).read(0, 4096)
  await until(() => agent.process.stderr().includes('cannot be read: fetched again'))
  await rm(trouble)
  process.kill(seed.pid, 'SIGCONT')
  t.true(bytes.subarray(0, 4096).equals(await reading))
  t.is(await nbdsh(t, agent, 'print(h.pread(4096, 131072) == b"1" * 4096)'), 'True')
  await agent.process.stop()
})

test('a disk that is full: ENOSPC for who writes, all can be read, the stream waits and goes on', async t => {
  // More than may wait in memory for room.
  const { lab, bytes, ticket } = await labWithImage(t, 8)
  const small = lab.path('small')
  await mkdir(small)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small])
  t.teardown(() => run('umount', ['--lazy', small]))
  const disk = `${small}/disk`
  const extra = ['--disk', disk, '--metadata', lab.path('metadata')]
  const agent = await lab.startAgent({ name: 'a', ticket, extra })
  await agent.until('full')
  const place = bytes.length - 2 * MiB - (bytes.length % blockBytes)
  t.is(await errorOf(t, agent, `h.pwrite(b"1" * 1048576, ${place})`), 'ENOSPC')
  const client = await agent.client()
  for (let offset = 0; offset < bytes.length; offset += MiB) {
    const expected = bytes.subarray(offset, offset + MiB)
    t.true(expected.equals(await client.read(offset, expected.length)), 'read all the same')
  }
  t.false(agent.has('present'))
  await run('mount', ['-o', 'remount,size=64m', small])
  await agent.until('room')
  t.is(await errorOf(t, agent, `h.pwrite(b"1" * 1048576, ${place})`), '')
  bytes.fill('1', place, place + MiB)
  // The stream may have ended before this write came: the figures of 'complete' need not have it.
  t.like(await agent.until('complete'), { verified: true })
  await agent.process.stop()
  t.true(bytes.equals(await readFile(disk)))
})

test('a file disk that was replaced while no agent ran is not complete before it is whole again', async t => {
  const { lab, bytes, ticket } = await labWithImage(t, 2)
  const first = await lab.startAgent({ name: 'a', ticket })
  await first.until('complete')
  await first.process.stop()
  await rm(first.disk)
  await writeFile(first.disk, '')
  await truncate(first.disk, bytes.length)
  const second = await lab.startAgent({ name: 'a', ticket })
  t.like(await second.until('complete'), { verified: true })
  await second.process.stop()
  t.true(bytes.equals(await readFile(second.disk)))
})

test('a chunk that the seed cannot read is said to be missing, and what it answered', async t => {
  const { lab, ticket } = await labWithImage(t, 2)
  const path = lab.path('store/packs/000001.pack')
  const pack = await open(path, 'r+')
  // In the middle of what a chunk has there.
  const place = Math.floor((await stat(path)).size / 2)
  await pack.write(Buffer.alloc(8, 'rotten'), 0, 8, place)
  await pack.close()
  const agent = await lab.startAgent({ name: 'a', ticket })
  t.like(await agent.until('stalled'), { chunks: 1, answers: ['not-held'] })
  t.false(agent.has('present'))
  await agent.process.stop()
})
