import { readFile, writeFile } from 'node:fs/promises'
import { encodeTrace, readsInLog } from './trace.ts'

// The last step of images/record-boot.sh: write-trace.ts LOG CID OUT.json

const [log, image, output] = process.argv.slice(2)
if (log === undefined || image === undefined || output === undefined) {
  throw new Error('usage: write-trace.ts LOG CID OUT.json')
}
const reads = readsInLog(await readFile(log, 'utf8'))
await writeFile(output, encodeTrace({ image, reads }))
const bytes = reads.reduce((sum, { length }) => sum + length, 0)
console.error(`${output}: ${reads.length} reads of ${(bytes / 1e6).toFixed(1)} MB`)
