// write-physical-volume.ts FILE --name … --id …: writes the start of an LVM physical volume; the files of the logical
// volume follow right behind it.
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { encodePhysicalVolume } from './physical-volume.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string' },
    id: { type: 'string' },
    'physical-id': { type: 'string' },
    'physical-bytes': { type: 'string' },
    'logical-name': { type: 'string' },
    'logical-id': { type: 'string' },
    'logical-bytes': { type: 'string' },
    'created-at': { type: 'string' }
  }
})

function given(option: keyof typeof values): string {
  const value = values[option]
  if (value === undefined) throw new Error(`--${option} is missing`)
  return value
}

const [file] = positionals
if (file === undefined) throw new Error('usage: write-physical-volume.ts FILE --name NAME …')
await writeFile(
  file,
  encodePhysicalVolume({
    name: given('name'),
    id: given('id'),
    physicalVolumeId: given('physical-id'),
    physicalVolumeBytes: Number(given('physical-bytes')),
    logicalVolumeName: given('logical-name'),
    logicalVolumeId: given('logical-id'),
    logicalVolumeBytes: Number(given('logical-bytes')),
    createdAtSeconds: Number(given('created-at'))
  })
)
