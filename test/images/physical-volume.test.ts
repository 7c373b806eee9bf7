import test from 'ava'
import { type VolumeGroup, encodePhysicalVolume } from '../../images/gpt/physical-volume.ts'

const group: VolumeGroup = {
  name: 'lab',
  id: 'mUG0sR-JcXK-Bnxk-rxbs-hBxz-hy5t-DzCUny',
  physicalVolumeId: 'fHM6nS-VR7M-NctH-lGB7-944j-hbbJ-VyxDCZ',
  physicalVolumeBytes: 101 * 1024 ** 2,
  logicalVolumeName: 'root',
  logicalVolumeId: 'rJGAzr-IkmA-vJM9-Rcyy-f4ax-q6hQ-cLYuWa',
  logicalVolumeBytes: 99 * 1024 ** 2,
  createdAtSeconds: 1_735_689_600
}

// A byte table of lvm2's lib/format_text/layout.h; lvm2 itself reads one in test/boot/own-disk.test.ts.
test('label, header and text lie where LVM looks for them, with their checksums', t => {
  const bytes = encodePhysicalVolume(group)
  t.is(bytes.length, 1024 ** 2)
  t.is(bytes.toString('latin1', 512, 520), 'LABELONE')
  t.is(bytes.toString('latin1', 536, 544), 'LVM2 001')
  t.is(bytes.toString('latin1', 544, 576), group.physicalVolumeId.replaceAll('-', ''))
  t.is(bytes.readBigUInt64LE(576), BigInt(group.physicalVolumeBytes))
  t.is(bytes.readUInt32LE(528), checksum(bytes.subarray(532, 1024)))

  t.is(bytes.toString('latin1', 4100, 4116), ' LVM2 x[5A%r0N*>')
  t.is(bytes.readUInt32LE(4096), checksum(bytes.subarray(4100, 4608)))
  const textBytes = Number(bytes.readBigUInt64LE(4144))
  const text = bytes.subarray(4608, 4608 + textBytes)
  t.is(bytes.readUInt32LE(4152), checksum(text))
  t.is(text.at(-1), 0)
  t.regex(text.toString(), /pe_count = 25\n/)
  t.regex(text.toString(), /extent_count = 25\n/)
  t.true(bytes.subarray(4608 + textBytes).every(byte => byte === 0))
})

test('a volume that does not fit into its physical volume is refused', t => {
  const large = { ...group, logicalVolumeBytes: 101 * 1024 ** 2 }
  t.throws(() => encodePhysicalVolume(large), { message: /root needs 26 extents of 25/ })
})

// Bit by bit, so that it shares nothing with what it checks but the definition.
function checksum(bytes: Buffer): number {
  let state = 0xf597a6cf
  for (const byte of bytes) {
    state ^= byte
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (state & 1 ? 0xedb88320 : 0)
  }
  return state >>> 0
}
