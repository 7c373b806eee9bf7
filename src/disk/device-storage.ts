import fs from 'node:fs'
import { promisify } from 'node:util'
import { punchHole, zeroRange } from '../base/index.ts'
import { isZero } from '../image/index.ts'
import { AlignedMemory, slotBytes } from './aligned-memory.ts'
import { SectorTurns } from './sector-turns.ts'
import { diskError, endsEarly, SyncedFile } from './synced-file.ts'
import type { Storage } from './storage.ts'

const read = promisify(fs.read)
const write = promisify(fs.write)

// One for the process: there is one device in it, or two.
const memory = new AlignedMemory()

/**
 * A block device opened with O_DIRECT, so that nothing of ours is in the page cache when somebody else
 * takes it over. It moves whole sectors; what begins or ends inside one is read, merged and written.
 */
export class DeviceStorage implements Storage {
  readonly size: number
  readonly #fd: number
  readonly #path: string
  readonly #sectorBytes: number
  readonly #file: SyncedFile
  readonly #turns = new SectorTurns()
  #canPunch = true

  constructor(fd: number, path: string, size: number, sectorBytes: number) {
    this.#fd = fd
    this.#path = path
    this.size = size
    this.#sectorBytes = sectorBytes
    this.#file = new SyncedFile(fd, path)
  }

  get dirty(): boolean {
    return this.#file.dirty
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  isHole(): boolean {
    return false
  }

  async read(offset: number, length: number, into?: Buffer): Promise<Buffer> {
    const bytes = into ?? Buffer.allocUnsafe(length)
    await this.#file.whenWritten(offset, length)
    await this.#eachPiece(offset, length, async (start, end) => {
      const first = this.#floor(start)
      await memory.use(async slot => {
        await this.#readSectors(slot, first, this.#ceil(end) - first)
        slot.copy(bytes, start - offset, start - first, end - first)
      })
    })
    return bytes
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.#eachPiece(offset, data.length, (start, end) =>
      this.#writePiece(start, data.subarray(start - offset, end - offset))
    )
  }

  writeNow(offset: number, data: Uint8Array): boolean {
    const end = offset + data.length
    if (this.#floor(offset) !== offset || this.#floor(end) !== end) return false
    return !this.#turns.isTaken(offset, end) && this.#file.writeNow(offset, data)
  }

  async zero(offset: number, length: number): Promise<void> {
    const first = this.#ceil(offset)
    const last = this.#floor(offset + length)
    if (last <= first) return this.write(offset, Buffer.alloc(length))
    if (offset < first) await this.write(offset, Buffer.alloc(first - offset))
    const rest = offset + length - last
    if (rest > 0) await this.write(last, Buffer.alloc(rest))
    await this.#zeroSectors(first, last - first)
  }

  async trim(offset: number, length: number): Promise<void> {
    const first = this.#ceil(offset)
    const last = this.#floor(offset + length)
    await this.#file.whenWritten(offset, length)
    if (last > first) await this.#punch(first, last - first)
  }

  async #zeroSectors(offset: number, length: number): Promise<void> {
    await this.#file.whenWritten(offset, length)
    if (await this.#punch(offset, length)) return
    await this.#eachPiece(offset, length, async (start, end) => {
      // Reading is cheaper than writing on most devices, and keeps thin ones thin.
      if (isZero(await this.read(start, end - start))) return
      const zeroed = await zeroRange(this.#fd, start, end - start)
      if (zeroed) this.#file.landed()
      else await this.write(start, Buffer.alloc(end - start))
    })
  }

  /** The kernel answers for the zeros; a device that cannot do it says so (fallocate(2)). */
  async #punch(offset: number, length: number): Promise<boolean> {
    if (!this.#canPunch) return false
    this.#canPunch = await punchHole(this.#fd, offset, length)
    if (this.#canPunch) this.#file.landed()
    return this.#canPunch
  }

  #writePiece(offset: number, data: Uint8Array): Promise<void> {
    const end = offset + data.length
    const first = this.#floor(offset)
    const last = this.#ceil(end)
    const partial = first !== offset || last !== end
    return this.#turns.run(first, last, partial, async () => {
      if (!partial && this.#file.writeNow(offset, data)) return
      await this.#file.whenWritten(offset, data.length)
      await memory.use(async slot => {
        if (first !== offset) await this.#readSectors(slot, first, this.#sectorBytes)
        const lastSector = last - this.#sectorBytes
        if (last !== end && (lastSector !== first || first === offset)) {
          const tail = slot.subarray(lastSector - first)
          await this.#readSectors(tail, lastSector, this.#sectorBytes)
        }
        slot.set(data, offset - first)
        await this.#writeSectors(slot, first, last - first)
      })
    })
  }

  async #readSectors(slot: Buffer, offset: number, length: number): Promise<void> {
    try {
      for (let done = 0; done < length;) {
        const { bytesRead } = await read(this.#fd, slot, done, length - done, offset + done)
        if (bytesRead === 0) throw endsEarly(this.#path, offset + length)
        done += bytesRead
      }
    } catch (error) {
      throw diskError(this.#path, 'read', error)
    }
  }

  async #writeSectors(slot: Buffer, offset: number, length: number): Promise<void> {
    try {
      for (let done = 0; done < length;) {
        const { bytesWritten } = await write(this.#fd, slot, done, length - done, offset + done)
        done += bytesWritten
      }
    } catch (error) {
      throw diskError(this.#path, 'write', error)
    } finally {
      this.#file.landed()
    }
  }

  /** In pieces that fit a slot, whole sectors but for the ends. */
  async #eachPiece(
    offset: number,
    length: number,
    job: (start: number, end: number) => Promise<void>
  ): Promise<void> {
    const end = offset + length
    for (let start = offset; start < end;) {
      const stop = Math.min(this.#floor(start) + slotBytes, end)
      await job(start, stop)
      start = stop
    }
  }

  #floor(offset: number): number {
    return offset - (offset % this.#sectorBytes)
  }

  #ceil(offset: number): number {
    return this.#floor(offset + this.#sectorBytes - 1)
  }
}
