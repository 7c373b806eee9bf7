import { crc32 } from 'node:zlib'
import { limits } from '../base/index.ts'

export function blockChecksum(block: Uint8Array): number {
  return crc32(block)
}

const zeroBlock = Buffer.alloc(limits.blockBytes)

export function zeroChecksum(length: number): number {
  return crc32(zeroBlock.subarray(0, length))
}

/** One checksum for a run of blocks, made of theirs (docs/disk-format.md, record `checked`). */
export class ChecksumOfRun {
  readonly #bytes = Buffer.alloc(4)
  #value = 0

  get value(): number {
    return this.#value
  }

  add(blockSum: number): void {
    this.#bytes.writeUInt32BE(blockSum, 0)
    this.#value = crc32(this.#bytes, this.#value)
  }
}
