import { open } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { punchHole } from '../../src/base/index.ts'
import { TakenRoom } from '../../src/disk/taken-room.ts'
import { temporaryDirectory } from './samples.ts'

const page = 4096
/** Three regions, the last one not whole. */
const pages = 640

const step = fc.record({
  isWrite: fc.boolean(),
  first: fc.nat(pages - 1),
  count: fc.integer({ min: 1, max: 300 })
})

test('what was written and not given back has its room, and nothing else', async t => {
  const directory = await temporaryDirectory(t)
  let files = 0
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
    await using file = await open(join(directory, `${files++}`), 'w+')
    await file.truncate(pages * page)
    const room = new TakenRoom(file.fd, pages * page)
    const taken = new Set<number>()
    for (const { isWrite, first, count } of steps) {
      const last = Math.min(first + count, pages)
      const range = Array.from({ length: last - first }, (_, n) => first + n)
      t.is(
        room.has(first * page, range.length * page),
        range.every(one => taken.has(one))
      )
      if (isWrite) {
        await file.write(Buffer.alloc(range.length * page, 1), 0, undefined, first * page)
        for (const one of range) taken.add(one)
      } else if (await punchHole(file.fd, first * page, range.length * page)) {
        room.givenBack(first * page, range.length * page)
        for (const one of range) taken.delete(one)
      }
    }
  })
  await fc.assert(property, { numRuns: 60 })
})
