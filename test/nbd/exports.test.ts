import test from 'ava'
import { contextsOf } from '../../src/nbd/contexts.ts'
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

const simple = { style: 'simple', contexts: [] } as const
const [always, readOnly, trim, zeroes, df, cache, fast, filter] = [
  0b1_0000_1101, 2, 32, 64, 128, 1024, 2048, 4096
] as const

test('flags say what can be done, and nothing of writing where read-only', t => {
  t.is(flagsOf(disk, simple), always | zeroes)
  t.is(flagsOf(image, simple), always | readOnly)
  const able = {
    ...device,
    zero: async () => {},
    trim: async () => {},
    prefetch: async () => {}
  }
  t.is(flagsOf({ ...disk, device: able }, simple), always | zeroes | trim | fast | cache)
  t.is(flagsOf({ ...image, device: able }, simple), always | readOnly | cache)
})

test('flags of replies in chunks only for those who have asked for them', t => {
  const contexts = contextsOf(device)
  t.is(flagsOf(image, { style: 'structured', contexts }), always | readOnly | df)
  t.is(flagsOf(image, { style: 'extended', contexts: [] }), always | readOnly | df)
  t.is(flagsOf(image, { style: 'extended', contexts }), always | readOnly | df | filter)
})
