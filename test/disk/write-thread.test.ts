import { open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { WriteThread } from '../../src/disk/write-thread.ts'
import { noise, temporaryDirectory } from './samples.ts'

const thread = new WriteThread()

test('what was written is there, whoever wrote how much at the same time', async t => {
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
        let done = thread.write(file.fd, offset, data)
        for (; done === undefined; done = thread.write(file.fd, offset, data)) {
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

test('a write that fails says why, and those beside it are done', async t => {
  await using file = await open(join(await temporaryDirectory(t), 'file'), 'w+')
  await using full = await open('/dev/full', 'w')
  await using unwritable = await open('/dev/zero', 'r')
  const results = await Promise.allSettled([
    thread.write(file.fd, 0, Buffer.from('one')),
    thread.write(full.fd, 0, Buffer.from('two')),
    thread.write(unwritable.fd, 0, Buffer.from('three')),
    thread.write(file.fd, 3, Buffer.from('four'))
  ])
  const codes = results.map(result =>
    result.status === 'rejected' ? (result.reason as NodeJS.ErrnoException).code : 'done'
  )
  t.deepEqual(codes, ['done', 'ENOSPC', 'EBADF', 'done'])
  t.is((await file.readFile()).toString(), 'onefour')
})

test('there is no room for what is large', async t => {
  t.is(thread.write(1, 0, Buffer.alloc(1 << 20)), undefined)
})
