import { crc32 } from 'node:zlib'

// Where things lie in a physical volume, in bytes from its start; LVM's own defaults.
const sectorBytes = 512
const labelAt = sectorBytes
const metadataAt = 4096
const dataAt = 1024 * 1024
const extentBytes = 4 * 1024 * 1024

const labelType = 'LVM2 001'
const labelHeaderBytes = 32
const metadataMagic = Buffer.from(' LVM2 x[5A%r0N*>', 'latin1')
const headerExtensionVersion = 2
const headerExtensionUsed = 1
const checksumStart = 0xf597a6cf

/** One volume group with one physical volume and one linear logical volume; ids as LVM prints them. */
export interface VolumeGroup {
  name: string
  id: string
  physicalVolumeId: string
  physicalVolumeBytes: number
  logicalVolumeName: string
  logicalVolumeId: string
  logicalVolumeBytes: number
  createdAtSeconds: number
}

/**
 * The first MiB of a physical volume, after which its extents begin: label, header, and the volume group in LVM's text
 * form (lvm2 `lib/format_text/layout.h`). LVM's own tools want device-mapper and put the time and the host into it.
 */
export function encodePhysicalVolume(group: VolumeGroup): Buffer {
  const start = Buffer.alloc(dataAt)
  encodeLabel(group).copy(start, labelAt)
  const text = Buffer.from(`${describe(group)}\0`)
  encodeMetadataHeader(text).copy(start, metadataAt)
  text.copy(start, metadataAt + sectorBytes)
  return start
}

function encodeLabel(group: VolumeGroup): Buffer {
  const label = Buffer.alloc(sectorBytes)
  label.write('LABELONE', 0)
  label.writeBigUInt64LE(BigInt(labelAt / sectorBytes), 8)
  label.writeUInt32LE(labelHeaderBytes, 20)
  label.write(labelType, 24)
  label.write(group.physicalVolumeId.replaceAll('-', ''), labelHeaderBytes)
  // The volume's size, then lists of areas, each ended by an empty one: data (to the end), metadata, boot loader.
  const numbers = [
    group.physicalVolumeBytes,
    dataAt,
    0,
    0,
    0,
    metadataAt,
    dataAt - metadataAt,
    0,
    0
  ]
  numbers.forEach((number, index) => {
    label.writeBigUInt64LE(BigInt(number), labelHeaderBytes + 32 + 8 * index)
  })
  const extensionAt = labelHeaderBytes + 32 + 8 * numbers.length
  label.writeUInt32LE(headerExtensionVersion, extensionAt)
  label.writeUInt32LE(headerExtensionUsed, extensionAt + 4)
  label.writeUInt32LE(checksum(label.subarray(20)), 16)
  return label
}

function encodeMetadataHeader(text: Buffer): Buffer {
  const header = Buffer.alloc(sectorBytes)
  metadataMagic.copy(header, 4)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(metadataAt), 24)
  header.writeBigUInt64LE(BigInt(dataAt - metadataAt), 32)
  header.writeBigUInt64LE(BigInt(sectorBytes), 40)
  header.writeBigUInt64LE(BigInt(text.length), 48)
  header.writeUInt32LE(checksum(text), 56)
  header.writeUInt32LE(checksum(header.subarray(4)), 0)
  return header
}

// LVM's CRC-32 begins with a number of its own and is not inverted at the end; zlib's is inverted at both.
function checksum(bytes: Buffer): number {
  return ~crc32(bytes, ~checksumStart >>> 0) >>> 0
}

function describe(group: VolumeGroup): string {
  const extents = Math.floor((group.physicalVolumeBytes - dataAt) / extentBytes)
  const used = Math.ceil(group.logicalVolumeBytes / extentBytes)
  if (used > extents) {
    throw new Error(`${group.logicalVolumeName} needs ${used} extents of ${extents}`)
  }
  return `${group.name} {
id = "${group.id}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = ${extentBytes / sectorBytes}
max_lv = 0
max_pv = 0
metadata_copies = 0

physical_volumes {

pv0 {
id = "${group.physicalVolumeId}"
device = "/dev/sda3"
status = ["ALLOCATABLE"]
flags = []
dev_size = ${group.physicalVolumeBytes / sectorBytes}
pe_start = ${dataAt / sectorBytes}
pe_count = ${extents}
}
}

logical_volumes {

${group.logicalVolumeName} {
id = "${group.logicalVolumeId}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_time = ${group.createdAtSeconds}
creation_host = "image"
segment_count = 1

segment1 {
start_extent = 0
extent_count = ${used}

type = "striped"
stripe_count = 1

stripes = [
"pv0", 0
]
}
}
}

}
contents = "Text Format Volume Group"
version = 1

description = "Written with its image"

creation_host = "image"
creation_time = ${group.createdAtSeconds}

`
}
