import { open } from 'node:fs/promises'

/** Inverts one byte of a file. */
export async function flipByte(path: string, offset: number): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, offset)
    byte[0] = ~(byte[0] ?? 0) & 0xff
    await handle.write(byte, 0, 1, offset)
  } finally {
    await handle.close()
  }
}
