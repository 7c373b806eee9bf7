/** One bit a thing, the first one in the high bit of the first byte, with a count of those set. */
export class Bitmap {
  readonly bytes: Uint8Array
  #count = 0

  /** With `bytes`, its state is taken from them, copied; bits beyond `length` have to be 0. */
  constructor(length: number, bytes?: Uint8Array) {
    this.bytes = bytes === undefined ? new Uint8Array(Math.ceil(length / 8)) : new Uint8Array(bytes)
    for (const byte of this.bytes) this.#count += bitsIn(byte)
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0
  }

  /** True if that changed it. */
  set(index: number, value: boolean): boolean {
    if (this.has(index) === value) return false
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) ^ (0x80 >> (index & 7))
    this.#count += value ? 1 : -1
    return true
  }
}

function bitsIn(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}
