import type { ExecutionContext, TestFn } from 'ava'
import fc from 'fast-check'
import type { BlockDevice } from '../../src/base/index.ts'

/** Makes a fresh device that holds `content`, and cleans up after the test. */
export type MakeBlockDevice = (t: ExecutionContext, content: Buffer) => Promise<BlockDevice>

export interface BlockDeviceSuiteOptions {
  /** A multiple of 4096, at least 16384. */
  readonly size?: number
  /** Random histories to try; each makes a device. */
  readonly runs?: number
}

type Step =
  | { readonly kind: 'read'; readonly offset: number; readonly length: number }
  | {
      readonly kind: 'write'
      readonly offset: number
      readonly length: number
      readonly fill: number
    }
  | { readonly kind: 'flush' }

/**
 * What every `BlockDevice` promises (base/contracts.ts). Bounds are not tested: keeping inside the
 * device is the caller's part.
 */
export function blockDeviceSuite(
  test: TestFn,
  make: MakeBlockDevice,
  { size = 64 * 1024, runs = 20 }: BlockDeviceSuiteOptions = {}
): void {
  const content = patterned(size)

  test('block device: has the size of its content and reads it back whole', async t => {
    const device = await make(t, content)
    t.is(device.size, size)
    t.true(content.equals(await device.read(0, size)))
  })

  test('block device: reads any alignment', async t => {
    const device = await make(t, content)
    const ranges = [
      [0, 1],
      [size - 1, 1],
      [4095, 2],
      [1, 4095],
      [511, 8193],
      [4096, 4096],
      [size - 5000, 5000]
    ] as const
    for (const [offset, length] of ranges) {
      const read = await device.read(offset, length)
      t.true(content.subarray(offset, offset + length).equals(read), `${length} at ${offset}`)
    }
  })

  test('block device: any history of reads, writes and flushes equals that of plain memory', async t => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepIn(size), { maxLength: 30 }), async steps => {
        const device = await make(t, content)
        const model = Buffer.from(content)
        for (const step of steps) await applyAndCompare(device, model, step)
        if (!model.equals(await device.read(0, size)))
          throw new Error('the device differs at the end')
      }),
      { numRuns: runs }
    )
    t.pass()
  })

  test('block device: neighbouring writes at once keep out of each other', async t => {
    const device = await make(t, content)
    const model = Buffer.from(content)
    // 700 bytes each: most pieces share a block with the next one.
    const pieces = Array.from({ length: Math.floor(size / 700) }, (_, index) => index)
    await Promise.all(
      pieces.map(index => {
        const data = Buffer.alloc(700, index + 1)
        data.copy(model, index * 700)
        return device.write(index * 700, data)
      })
    )
    t.true(model.equals(await device.read(0, size)))
  })

  test('block device: what was read does not change under a later write', async t => {
    const device = await make(t, content)
    const before = await device.read(0, 8192)
    await device.write(0, Buffer.alloc(8192, 0xee))
    t.true(content.subarray(0, 8192).equals(before))
  })

  test('block device: keeps no reference to the data of a write that has resolved', async t => {
    const device = await make(t, content)
    const data = Buffer.alloc(5000, 0x11)
    await device.write(100, data)
    data.fill(0x22)
    t.true(Buffer.alloc(5000, 0x11).equals(await device.read(100, 5000)))
  })

  test('block device: takes a write from the middle of a larger buffer', async t => {
    const device = await make(t, content)
    const larger = patterned(9001)
    await device.write(4096, larger.subarray(17, 17 + 4096))
    t.true(larger.subarray(17, 17 + 4096).equals(await device.read(4096, 4096)))
  })

  test('block device: flushes resolve, several at once and with writes under way', async t => {
    const device = await make(t, content)
    const data = Buffer.alloc(4096, 0x33)
    await t.notThrowsAsync(
      Promise.all([device.write(0, data), device.flush(), device.write(8192, data), device.flush()])
    )
    await device.flush()
    t.true(data.equals(await device.read(8192, 4096)))
  })
}

/** Bytes of which no two blocks are alike, so that a wrong offset shows. */
export function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >>> 8) * 7 + (at >>> 12)) & 0xff
  return bytes
}

function stepIn(size: number): fc.Arbitrary<Step> {
  const range = fc
    .tuple(fc.nat({ max: size - 1 }), fc.integer({ min: 1, max: 12_000 }))
    .map(([offset, length]) => ({ offset, length: Math.min(length, size - offset) }))
  return fc.oneof(
    range.map(where => ({ kind: 'read' as const, ...where })),
    fc
      .tuple(range, fc.nat({ max: 255 }))
      .map(([where, fill]) => ({ kind: 'write' as const, ...where, fill })),
    fc.constant({ kind: 'flush' as const })
  )
}

async function applyAndCompare(device: BlockDevice, model: Buffer, step: Step): Promise<void> {
  switch (step.kind) {
    case 'read': {
      const read = await device.read(step.offset, step.length)
      const expected = model.subarray(step.offset, step.offset + step.length)
      if (!expected.equals(read))
        throw new Error(`a read of ${step.length} at ${step.offset} differs`)
      return
    }
    case 'write':
      model.fill(step.fill, step.offset, step.offset + step.length)
      return device.write(step.offset, Buffer.alloc(step.length, step.fill))
    case 'flush':
      return device.flush()
  }
}
