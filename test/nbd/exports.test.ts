import test from 'ava'
import { findExport, flagsOf } from '../../src/nbd/exports.ts'
import { memoryDevice } from '../helpers/memory-device.ts'

const device = memoryDevice(512)
const disk = { name: 'disk', description: 'the disk', device, readOnly: false }
const image = { name: 'image', description: '', device, readOnly: true }

test('the first export is the one without a name', t => {
  t.is(findExport([disk, image], ''), disk)
  t.is(findExport([disk, image], 'image'), image)
  t.is(findExport([disk, image], 'Image'), undefined)
  const unnamed = { ...image, name: '' }
  t.is(findExport([disk, unnamed], ''), unnamed)
})

test('flags say what can be done: flush, FUA, several connections, and no writing where read-only', t => {
  t.is(flagsOf(disk), 0b1_0000_1101)
  t.is(flagsOf(image), 0b1_0000_1111)
})
