import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'

// What contenders copy that know nothing of images: a file as large as the stored bytes. What is in
// it does not matter to them, since none compresses.

const pieceBytes = 1024 * 1024

export async function writePayload(path: string, size: number): Promise<void> {
  await using file = await open(path, 'w')
  for (let left = size; left > 0; left -= pieceBytes) {
    await file.write(randomBytes(Math.min(left, pieceBytes)))
  }
}

/** Throws when a copy is not the original. */
export async function compareFiles(original: string, copies: readonly string[]): Promise<void> {
  const expected = await digestOf(original)
  for (const copy of copies) {
    if ((await digestOf(copy)) !== expected) throw new Error(`${copy} is not what was sent`)
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: pieceBytes }), hash)
  return hash.digest('hex')
}
