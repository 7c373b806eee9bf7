import { setImmediate as turn } from 'node:timers/promises'
import type { Random } from '../../src/base/index.ts'
import type { Storage } from '../../src/disk/storage.ts'

export const sectorBytes = 512

interface Taken {
  readonly offset: number
  readonly data: Buffer
}

interface Version {
  /** Grows with each. */
  readonly number: number
  readonly bytes: Buffer
}

/**
 * A disk in memory that keeps what was not synced apart, so that a crash can keep any of it: of each
 * 512-byte sector the last synced content or any later one.
 */
export class CrashingStorage implements Storage {
  readonly size: number
  readonly #durable: Buffer
  readonly #current: Buffer
  readonly #random: Random
  /** Contents of a sector since it was last durable, oldest first. */
  readonly #unsynced: Map<number, Version[]>
  /** By `writeNow`, and not written yet; in the memory of the process. */
  #taken: Taken[] = []
  #dead = false
  #landed: number
  #covered = 0
  #versions: number

  constructor(
    current: Buffer,
    random: Random,
    durable: Buffer = Buffer.from(current),
    unsynced = new Map<number, Version[]>()
  ) {
    this.size = current.length
    this.#current = current
    this.#random = random
    this.#durable = durable
    this.#unsynced = unsynced
    this.#landed = unsynced.size
    this.#versions = Math.max(0, ...[...unsynced.values()].flat().map(({ number }) => number))
  }

  get dirty(): boolean {
    return this.#covered < this.#landed
  }

  /** What a reader sees now. */
  get bytes(): Buffer {
    this.#writeTaken()
    return this.#current
  }

  async read(offset: number, length: number): Promise<Buffer> {
    await this.#pause()
    this.#writeTaken()
    return Buffer.from(this.#current.subarray(offset, offset + length))
  }

  /** Sometimes there is no room. */
  writeNow(offset: number, data: Uint8Array): boolean {
    if (this.#dead || this.#random.next() < 0.2) return false
    this.#taken.push({ offset, data: Buffer.from(data) })
    this.#landed++
    return true
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (offset < 0 || offset + data.length > this.size) throw new Error('written outside')
    // As a device does it with what is small.
    const isSmall = data.length <= 16 * 1024 && this.#random.next() < 0.5
    if (isSmall && this.writeNow(offset, data)) return
    const copy = Buffer.from(data)
    // In two steps, as a crash of the process may fall between them; a sector is never torn.
    const middle = Math.floor((offset + copy.length / 2) / sectorBytes) * sectorBytes
    const half = Math.max(0, middle - offset)
    await this.#pause()
    this.#writeTaken()
    this.#apply(offset, copy.subarray(0, half))
    await this.#pause()
    this.#apply(offset + half, copy.subarray(half))
    this.#landed++
  }

  async zero(offset: number, length: number): Promise<void> {
    await this.write(offset, Buffer.alloc(length))
  }

  isHole(): boolean {
    return false
  }

  /** May do it, or some of it, or nothing. */
  async trim(offset: number, length: number): Promise<void> {
    const kept = Math.floor((this.#random.next() * 2 * length) / sectorBytes) * sectorBytes
    if (kept < length) await this.zero(offset, length - kept)
  }

  async sync(): Promise<void> {
    const landed = this.#landed
    this.#writeTaken()
    const last = this.#versions
    await this.#pause()
    for (const [sector, list] of this.#unsynced) {
      // Another sync may have covered some of them meanwhile.
      const count = list.filter(version => version.number <= last).length
      list[count - 1]?.bytes.copy(this.#durable, sector * sectorBytes)
      list.splice(0, count)
      if (list.length === 0) this.#unsynced.delete(sector)
    }
    this.#covered = Math.max(this.#covered, landed)
  }

  /**
   * Stops for good: every operation under way or to come fails. Returns what the next process finds:
   * after a kill all that was written, after a loss of power any of it that was not synced. Of what was only taken,
   * some had been written.
   */
  crash(kind: 'killed' | 'power-loss'): CrashingStorage {
    this.#taken.length = Math.floor(this.#random.next() * (this.#taken.length + 1))
    this.#writeTaken()
    this.#dead = true
    if (kind === 'killed') {
      return new CrashingStorage(this.#current, this.#random, this.#durable, this.#unsynced)
    }
    for (const [sector, list] of this.#unsynced) {
      const survivor = list[Math.floor(this.#random.next() * (list.length + 1)) - 1]
      survivor?.bytes.copy(this.#durable, sector * sectorBytes)
    }
    return new CrashingStorage(this.#durable, this.#random)
  }

  #writeTaken(): void {
    for (const { offset, data } of this.#taken.splice(0)) this.#apply(offset, data)
  }

  #apply(offset: number, data: Buffer): void {
    data.copy(this.#current, offset)
    const last = Math.ceil((offset + data.length) / sectorBytes)
    for (let sector = Math.floor(offset / sectorBytes); sector < last; sector++) {
      const start = sector * sectorBytes
      const list = this.#unsynced.get(sector) ?? []
      const bytes = Buffer.from(this.#current.subarray(start, start + sectorBytes))
      list.push({ number: ++this.#versions, bytes })
      this.#unsynced.set(sector, list)
    }
  }

  async #pause(): Promise<void> {
    // Mostly fast, and now and then so slow that much else happens meanwhile.
    const turns = Math.floor(this.#random.next() * (this.#random.next() < 0.15 ? 40 : 3))
    for (let index = 0; index < turns; index++) await turn()
    if (this.#dead) throw new Error('the machine is dead')
  }
}
