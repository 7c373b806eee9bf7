import test from 'ava'
import { blockDeviceSuite } from '../conformance/block-device.ts'
import { memoryDevice } from '../helpers/memory-device.ts'

// The device that the other tests of this folder trust.
blockDeviceSuite(test, async (_t, content) => memoryDevice(content))

test('a waiting read ends when its signal aborts', async t => {
  const device = memoryDevice(4096)
  device.hooks = { before: () => new Promise(() => {}) }
  const gone = new AbortController()
  const read = device.read(0, 512, gone.signal)
  t.is(device.readsUnderWay, 1)
  gone.abort()
  await t.throwsAsync(read)
  t.is(device.readsUnderWay, 0)
})
