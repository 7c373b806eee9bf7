import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import { FlushAhead } from '../../src/disk/flush-ahead.ts'

/** What is durable of writes that are numbered from 1. */
function countingDisk() {
  const disk = {
    written: 0,
    durable: 0,
    flushes: 0,
    write(): void {
      disk.written++
      ahead.written()
    },
    flush: () => ahead.flush()
  }
  const ahead = new FlushAhead(async () => {
    const covered = disk.written
    disk.flushes++
    await turn()
    disk.durable = Math.max(disk.durable, covered)
  })
  return disk
}

test('a flush covers every write that was done before it, whatever came in which order', async t => {
  const steps = fc.array(fc.constantFrom('write', 'flush', 'pair', 'turn'), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(steps, async names => {
      const disk = countingDisk()
      const flushing: Promise<unknown>[] = []
      const flush = (): void => {
        const { written } = disk
        flushing.push(disk.flush().then(() => t.true(disk.durable >= written)))
      }
      for (const name of [...Array<string>(9).fill('pair'), ...names]) {
        if (name === 'write' || name === 'pair') disk.write()
        if (name === 'turn' || name === 'pair') await turn()
        if (name === 'flush' || name === 'pair') flush()
      }
      await Promise.all(flushing)
    })
  )
})

test('who flushes after each write finds it begun, and nothing is flushed twice', async t => {
  const disk = countingDisk()
  for (let times = 0; times < 20; times++) {
    disk.write()
    await turn()
    if (times > 8) t.is(disk.flushes, times + 1, 'before it was asked for')
    await disk.flush()
  }
  t.is(disk.flushes, 20)
  for (let times = 0; times < 20; times++) {
    disk.write()
    await turn()
  }
  t.is(disk.flushes, 21, 'one that nobody wanted')
})

test('what fails ahead fails whoever asks for it', async t => {
  const disk = new FlushAhead(() => Promise.reject(new Error('broken')))
  for (let times = 0; times < 20; times++) {
    disk.written()
    await turn()
    await t.throwsAsync(disk.flush(), { message: 'broken' })
  }
})
