import { sectorBytes } from './crashing-storage.ts'

/** What a sector may hold: a crash leaves one of its contents from `floor` on. */
export interface Sector {
  versions: Buffer[]
  /** Index of the version that is surely durable. */
  floor: number
  /** Index of the version that a read shows when no write is under way. */
  shown: number
}

/** Where a write has put its contents. */
export interface Written {
  readonly sector: Sector
  readonly version: number
}

/** What each 512-byte sector of a disk may hold. */
export class SectorModel {
  readonly sectors: readonly Sector[]

  constructor(image: Buffer) {
    this.sectors = Array.from({ length: image.length / sectorBytes }, (_, index) => ({
      versions: [image.subarray(index * sectorBytes, (index + 1) * sectorBytes)],
      floor: 0,
      shown: 0
    }))
  }

  /** The contents that are read when nothing is under way. */
  get bytes(): Buffer {
    return Buffer.concat(
      this.sectors.map(({ versions, shown }) => versions[shown] ?? Buffer.alloc(0))
    )
  }

  shown(): number[] {
    return this.sectors.map(sector => sector.shown)
  }

  floors(): number[] {
    return this.sectors.map(sector => sector.floor)
  }

  /** A write has begun: from now on its data may be there. */
  begin(offset: number, data: Buffer): Written[] {
    const first = Math.floor(offset / sectorBytes)
    const last = Math.ceil((offset + data.length) / sectorBytes)
    return this.sectors.slice(first, last).map((sector, index) => {
      const start = (first + index) * sectorBytes
      const bytes = Buffer.from(sector.versions[sector.shown] ?? [])
      const from = Math.max(offset, start)
      const to = Math.min(offset + data.length, start + sectorBytes)
      data.copy(bytes, from - start, from - offset, to - offset)
      return { sector, version: sector.versions.push(bytes) - 1 }
    })
  }

  end(written: readonly Written[]): void {
    for (const { sector, version } of written) sector.shown = version
  }

  /** What was shown then is durable. */
  flushed(shown: readonly number[]): void {
    for (const [index, sector] of this.sectors.entries()) {
      sector.floor = Math.max(sector.floor, shown[index] ?? 0)
    }
  }

  /** What was read is one of the versions from `from` on. */
  judge(offset: number, bytes: Buffer, from: readonly number[], when: string): void {
    for (let start = 0; start < bytes.length; start += sectorBytes) {
      const index = (offset + start) / sectorBytes
      const allowed = this.sectors[index]?.versions.slice(from[index]) ?? []
      const read = bytes.subarray(start, start + sectorBytes)
      if (allowed.some(version => version.equals(read))) continue
      const wanted = allowed
        .map(version => version.toString('hex', 0, 4) + '…' + version.toString('hex', 508))
        .join(' or ')
      throw new Error(
        `${when}, sector ${index} reads ${read.toString('hex', 508)}, it can hold ${wanted}`
      )
    }
  }

  /** After a crash: from now on it is this. */
  pin(offset: number, bytes: Buffer): void {
    for (let start = 0; start < bytes.length; start += sectorBytes) {
      const sector = this.sectors[(offset + start) / sectorBytes]
      if (sector === undefined) continue
      // What is unflushed may still be lost in the next crash.
      sector.versions = [
        ...sector.versions.slice(sector.floor),
        bytes.subarray(start, start + sectorBytes)
      ]
      sector.floor = 0
      sector.shown = sector.versions.length - 1
    }
  }
}
