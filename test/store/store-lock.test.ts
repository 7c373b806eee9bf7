import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { withStoreLock } from '../../src/store/store-lock.ts'
import { temporaryDirectory } from '../helpers/process.ts'

test('one at a time holds the lock, and a failure lets go of it', async t => {
  const directory = await temporaryDirectory(t)
  let inside = 0
  const work = async () => {
    t.is(++inside, 1)
    await turn()
    inside--
  }
  await Promise.all(Array.from({ length: 5 }, () => withStoreLock(directory, work)))
  const failing = withStoreLock(directory, async () => {
    throw new Error('inside')
  })
  await t.throwsAsync(failing, { message: 'inside' })
  t.is(await withStoreLock(directory, async () => 'next'), 'next')
})
