import test from 'ava'
import { imageBeside } from '../../src/agent/agent-exports.ts'
import type { Session } from '../../src/agent/session.ts'
import { SharedPlace } from '../../src/agent/shared-place.ts'
import { chunkBytes, chunkSize, openFrames } from './samples.ts'

test('the disk takes what it needs, and the view what somebody waits for, at every position of it', async t => {
  const { disk, items, frames } = await openFrames(t)
  const needed: [number, string][] = []
  const transfer = { need: (position: number, why: string) => needed.push([position, why]) }
  const session = { transfer, frames } as unknown as Session
  const view = imageBeside(disk, items, () => session)
  const place = new SharedPlace(disk, view)

  // Written over as a whole before it came: the disk wants its frame, and nothing of it is there.
  await disk.write(0, Buffer.alloc(chunkSize, 'the machine'))
  t.is(await view.where(0), 'remote')
  t.is(await view.where(2), 'zero')
  const first = view.chunk(0)
  const copy = view.chunk(4)
  while (needed.length < 2) await new Promise(setImmediate)
  t.deepEqual(needed, [
    [0, 'look'],
    [4, 'look']
  ])
  t.true(place.needs(4))
  await place.place(4, chunkBytes(4))
  t.true(chunkBytes(0).equals(await first))
  t.true(chunkBytes(4).equals(await copy))
  t.true(chunkBytes(4).equals(await disk.read(4 * chunkSize, chunkSize)), 'the disk has it too')
  t.is(await view.where(0), 'local')

  // What the disk has is not asked for; what the machine then writes does not show.
  await place.place(1, chunkBytes(1))
  await disk.write(chunkSize, Buffer.alloc(4096, 'the machine'))
  t.is(await view.where(1), 'local')
  t.true(chunkBytes(1).equals(await view.chunk(1)))
  t.is(needed.length, 2)
})

test('who does not wait any more is not given anything', async t => {
  const { disk, items, frames } = await openFrames(t)
  const session = { transfer: { need: () => {} }, frames } as unknown as Session
  const view = imageBeside(disk, items, () => session)
  const place = new SharedPlace(disk, view)
  await disk.place(1, chunkBytes(1))
  const going = new AbortController()
  const chunk = view.chunk(5, going.signal)
  while (!view.needs(5)) await new Promise(setImmediate)
  going.abort(new Error('gone'))
  await t.throwsAsync(chunk, { message: 'gone' })
  t.false(view.needs(5))
  t.true(place.needs(5), 'the disk does')
})
