import { open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { WriteThread } from '../../src/disk/write-thread.ts'
import { noise, temporaryDirectory } from './samples.ts'

const thread = new WriteThread()

function write(file: number, offset: number, data: Uint8Array): Promise<void> | undefined {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const isTaken = thread.write(file, offset, data, error =>
    error === undefined ? resolve() : reject(error)
  )
  return isTaken ? promise : undefined
}

test.serial('what was written is there, whoever wrote how much at the same time', async t => {
  await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
  const pieces = fc.array(fc.nat(9000), { minLength: 1, maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), async (lengths, oneByOne) => {
      const bytes = noise(lengths.reduce((sum, length) => sum + length, 0))
      const waiting: Promise<void>[] = []
      let start = 0
      for (const length of lengths) {
        const data = Buffer.from(bytes.subarray(start, start + length))
        const offset = start
        start += length
        let done = write(file.fd, offset, data)
        for (; done === undefined; done = write(file.fd, offset, data)) {
          await waiting.shift()
        }
        // It has been copied.
        data.fill(0)
        if (oneByOne) await done
        else waiting.push(done)
      }
      await Promise.all(waiting)
      const written = Buffer.alloc(bytes.length)
      await file.read(written, 0, written.length, 0)
      t.true(bytes.equals(written))
    }),
    { numRuns: 30 }
  )
})

test.serial('a write that fails says why, and those beside it are done', async t => {
  await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
  await using full = await open('/dev/full', 'w')
  await using unwritable = await open('/dev/zero', 'r')
  const results = await Promise.allSettled([
    write(file.fd, 0, Buffer.from('one')),
    write(full.fd, 0, Buffer.from('two')),
    write(unwritable.fd, 0, Buffer.from('three')),
    write(file.fd, 3, Buffer.from('four'))
  ])
  const codes = results.map(result =>
    result.status === 'rejected' ? (result.reason as NodeJS.ErrnoException).code : 'done'
  )
  t.deepEqual(codes, ['done', 'ENOSPC', 'EBADF', 'done'])
  t.is((await file.readFile()).toString(), 'onefour')
})

test.serial('there is no room for what is large', async t => {
  t.is(write(1, 0, Buffer.alloc(1 << 20)), undefined)
})

test.serial('who finds no room waits for it', async t => {
  await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
  const writes = Array.from({ length: 500 }, async (_, number) => {
    await thread.writeSoon(file.fd, number * 8192, Buffer.alloc(8192, number))
  })
  await Promise.all(writes)
  const pieces = Array.from({ length: 500 }, (_, number) => Buffer.alloc(8192, number))
  t.true(Buffer.concat(pieces).equals(await file.readFile()))
  t.is(thread.writeSoon(file.fd, 0, Buffer.alloc(1 << 20)), undefined)
})

test.serial('a range is under way until it is written, whoever else wants to know', async t => {
  await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
  const told: string[] = []
  const count = (): void => void told.push('written')
  for (let number = 0; number < 20; number++) {
    t.true(thread.write(file.fd, number * 100, Buffer.alloc(100, number), count, false))
  }
  t.is(thread.whenWritten(file.fd + 1, 0, Infinity), undefined, 'another file')
  t.is(thread.whenWritten(file.fd, 2000, 10), undefined, 'behind it')
  const waits = [50, 1999, 0].map(async offset => {
    await thread.whenWritten(file.fd, offset, 1)
    const [byte] = (await file.read(Buffer.alloc(1), 0, 1, offset)).buffer
    t.is(byte, Math.floor(offset / 100))
  })
  await Promise.all(waits)
  await thread.whenWritten(file.fd, 0, Infinity)
  t.is(told.length, 20)
})

test.serial(
  'a sync comes behind what was asked for before; a second one has to be done elsewhere',
  async t => {
    await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
    const order: string[] = []
    const told = (): void => void order.push('written')
    t.true(thread.write(file.fd, 0, Buffer.from('one'), told, false))
    const synced = thread.sync(file.fd)
    t.is(thread.sync(file.fd), undefined)
    await synced?.then(() => order.push('synced'))
    t.deepEqual(order, ['written', 'synced'])
    await using pipe = await open('/dev/null', 'w')
    await t.throwsAsync(thread.sync(pipe.fd) ?? Promise.resolve(), { code: 'EINVAL' })
  }
)
