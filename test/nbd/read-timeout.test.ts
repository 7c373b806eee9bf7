import test from 'ava'
import { withReadTimeout } from '../../src/nbd/index.ts'
import { mappedDevice } from '../helpers/mapped-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'

test('a read that takes too long is given up, the others are as they were', async t => {
  const device = memoryDevice(Buffer.alloc(1024, 5))
  const limited = withReadTimeout(device, 20)
  t.deepEqual(Buffer.from(await limited.read(0, 3)), Buffer.alloc(3, 5))
  device.hooks = { before: () => new Promise(() => {}) }
  const alive = setInterval(() => {}, 1000)
  await t.throwsAsync(limited.read(0, 3), { code: 'ERR_READ_TIMEOUT' })
  clearInterval(alive)
  t.is(device.readsUnderWay, 0)
})

test('whoever reads can still call it off', async t => {
  const device = memoryDevice(1024)
  device.hooks = { before: () => new Promise(() => {}) }
  const gone = new AbortController()
  const read = withReadTimeout(device, 60_000).read(0, 3, gone.signal)
  gone.abort(new Error('gone'))
  await t.throwsAsync(read, { message: 'gone' })
})

test('what the device can do besides, it still can; what it cannot, it still cannot', async t => {
  t.false('zero' in withReadTimeout(memoryDevice(512), 5))
  t.false('readNow' in withReadTimeout(memoryDevice(512), 5))
  const device = mappedDevice(512, [])
  const limited = withReadTimeout(device, 5000)
  t.is(limited.readNow?.(0, Buffer.alloc(1)), true)
  t.is(limited.writeNow?.(0, Buffer.alloc(1)), true)
  await limited.zero?.(1, 2)
  await limited.trim?.(3, 4)
  await limited.prefetch?.(5, 6)
  t.deepEqual(device.calls, ['zero 1 2', 'trim 3 4', 'prefetch 5 6'])
})
