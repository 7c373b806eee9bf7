import { seededRandom, silentLogger } from '../../src/base/index.ts'
import type { Random } from '../../src/base/index.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { Metadata } from '../../src/disk/metadata.ts'
import { sectionOf } from '../../src/disk/storage.ts'
import type { Storage } from '../../src/disk/storage.ts'
import { searchFile } from '../../src/disk/superblocks.ts'
import { TargetDisk } from '../../src/disk/target-disk.ts'
import { decodeFrame, isZero, plainFrame } from '../../src/image/index.ts'
import { CrashingStorage, sectorBytes } from './crashing-storage.ts'
import type { Step } from './crash-steps.ts'
import { labKey } from './samples.ts'
import type { SampleImage } from './samples.ts'
import { SectorModel } from './sector-model.ts'

const journalBytes = 2 * 2 * 4096
const neverMs = 2 ** 31 - 1

export interface MachineOptions {
  readonly image: SampleImage
  readonly seed: number
  /** A target that held something else before shows whatever is wrongly called present. */
  readonly used: boolean
  /** The metadata lies behind the image on the same device. */
  readonly together: boolean
  readonly asideBytes: number
}

/** A disk under random work and crashes, beside a model of what each sector may hold. */
export class CrashMachine {
  readonly #options: MachineOptions
  readonly #random: Random
  readonly #model: SectorModel
  #target: Storage
  #metadata: Storage
  #devices: CrashingStorage[] = []
  #disk!: TargetDisk
  /** Grows at each crash: what an earlier life resolves no longer counts. */
  #life = 0
  #writes = new Set<{ first: number; last: number; done: Promise<void> }>()
  #others = new Set<Promise<void>>()
  #needAsked = false
  #failure: Error | undefined
  #nowMs = 0

  constructor(options: MachineOptions) {
    this.#options = options
    const { image, seed, used, together, asideBytes } = options
    this.#random = seededRandom(seed)
    this.#model = new SectorModel(image.bytes)
    const metadataBytes = regionsOf(image, { journalBytes, asideBytes }).totalBytes
    const start = Math.ceil(image.size / 4096) * 4096
    const bytes = Buffer.alloc(start + metadataBytes)
    bytes.fill(used ? 0xee : 0, 0, image.size)
    const storage = (part: Buffer): CrashingStorage =>
      new CrashingStorage(Buffer.from(part), this.#random)
    this.#devices = together
      ? [storage(bytes)]
      : [storage(bytes.subarray(0, image.size)), storage(bytes.subarray(start))]
    this.#target = this.#metadata = this.#devices[0] as Storage
    this.#layOut()
  }

  async start(): Promise<void> {
    const { image, used, asideBytes } = this.#options
    const search = await searchFile(this.#metadata, 'metadata')
    if (search.kind === 'unusable') throw search.error
    const found = search.kind === 'found' ? search.found.superblock : undefined
    const fresh = { image, labKey, asideBytes, journalBytes, generation: 0, identity: undefined }
    const metadata =
      found === undefined
        ? await Metadata.create(this.#metadata, fresh)
        : await Metadata.load(this.#metadata, found)
    const blank = found?.blank ?? !used
    this.#disk = await TargetDisk.start(
      { image, target: this.#target, metadata, blank, release: () => Promise.resolve() },
      {
        logger: silentLogger,
        onNeed: () => (this.#needAsked = true),
        onNeedless: () => {},
        // Neither timers nor other threads: a seed is to do the same each time.
        settleMs: neverMs,
        clock: { now: () => (this.#nowMs += 1e6) },
        encodeFrame: plain => Promise.resolve(plainFrame(new Uint8Array(plain)))
      }
    )
  }

  async run(step: Step): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    switch (step.kind) {
      case 'write':
      case 'fua':
      case 'zero':
        return this.#write(step.kind, step.at, step.length, step.wait)
      case 'trim':
        return this.#trim(step.at, step.length)
      case 'read':
        return this.#read(step.at, step.length, step.wait)
      case 'place':
        return this.#track(this.#place(step.chunk), step.wait)
      case 'flush':
        return this.#track(this.#flush(), step.wait)
      case 'finish':
        return this.#track(this.#disk.finish(), step.wait)
      case 'verify':
        return this.#track(this.#verify(), step.wait)
      case 'distrust':
        // Waited for, since it makes chunks needed that the next step may count on.
        return this.#track(this.#disk.distrust(step.chunk), true)
      case 'bring-all':
        return this.#bringAll()
      case 'reopen':
        return this.#reopen()
      case 'killed':
      case 'power-loss':
        return this.#crash(step.kind, step.after)
    }
  }

  /** Everything arrives; then all is read, verified, served, and compared with the target's bytes. */
  async end(): Promise<void> {
    const { image } = this.#options
    for (let round = 0; ; round++) {
      await this.#bringAll()
      await this.#disk.finish()
      const { badChunks } = await this.#disk.verify(image)
      if (badChunks.length === 0) break
      if (round === 2) throw new Error(`chunks ${badChunks.join()} stay bad`)
      for (const chunk of badChunks) await this.#disk.distrust(chunk)
    }
    await this.#read(0, image.size, true)
    for (let chunk = 0; chunk < image.chunkCount; chunk++) await this.#checkServed(chunk)
    await this.#disk.close()
    const target = await this.#target.read(0, image.size)
    this.#model.judge(0, target, this.#model.shown(), 'on the target')
    if (this.#failure !== undefined) throw this.#failure
  }

  #layOut(): void {
    const { image } = this.#options
    const [first, second] = this.#devices as [CrashingStorage, CrashingStorage | undefined]
    const start = Math.ceil(image.size / 4096) * 4096
    this.#target = first
    this.#metadata = second ?? sectionOf(first, start, first.size - start)
  }

  async #checkServed(chunk: number): Promise<void> {
    const { image } = this.#options
    const served = await this.#disk.pristine(chunk)
    if ((served !== undefined) !== this.#disk.servable(chunk)) throw new Error('said otherwise')
    if (served === undefined) return
    const plain =
      'plain' in served ? served.plain : await decodeFrame(served.frame, image.chunkSize)
    if (!image.chunk(chunk).equals(plain)) throw new Error(`chunk ${chunk} is served wrongly`)
  }

  async #verify(): Promise<void> {
    const life = this.#life
    const { badChunks } = await this.#disk.verify(this.#options.image)
    for (const chunk of badChunks) if (life === this.#life) await this.#disk.distrust(chunk)
  }

  async #reopen(): Promise<void> {
    await this.#bringAll()
    await this.#disk.close()
    this.#model.flushed(this.#model.shown())
    return this.start()
  }

  async #bringAll(): Promise<void> {
    await this.#placeNeeded()
    while (this.#writes.size + this.#others.size > 0) {
      // What goes on may make a chunk needed at any moment, and wait for it.
      await new Promise(setImmediate)
      await this.#placeNeeded()
    }
  }

  async #placeNeeded(): Promise<void> {
    for (let chunk = 0; chunk < this.#options.image.chunkCount; chunk++) await this.#place(chunk)
  }

  async #place(chunk: number): Promise<void> {
    if (!this.#disk.needs(chunk)) return
    const plain = Buffer.from(this.#options.image.chunk(chunk))
    if (isZero(plain)) this.#disk.placeZero(chunk)
    else await this.#disk.place(chunk, plain, plainFrame(plain))
  }

  async #flush(): Promise<void> {
    const shown = this.#model.shown()
    const life = this.#life
    await this.#disk.flush()
    if (life === this.#life) this.#model.flushed(shown)
  }

  async #write(
    kind: 'write' | 'fua' | 'zero',
    offset: number,
    wanted: number,
    wait: boolean
  ): Promise<void> {
    const length = Math.min(wanted, this.#options.image.size - offset)
    const range = await this.#alone(offset, length)
    const fill = kind === 'zero' ? 0 : 1 + Math.floor(this.#random.next() * 255)
    const data = Buffer.alloc(length, fill)
    const written = this.#model.begin(offset, data)
    if (kind === 'write' && this.#disk.writeNow(offset, data)) {
      this.#model.end(written)
      return
    }
    const life = this.#life
    const writing =
      kind === 'zero' ? this.#disk.zero(offset, length) : this.#disk.write(offset, data)
    const landed = writing.then(() => {
      if (life === this.#life) this.#model.end(written)
    })
    const done = this.#settled(kind === 'fua' ? landed.then(() => this.#flush()) : landed)
    const entry = { ...range, done: this.#settled(landed) }
    this.#writes.add(entry)
    const forgotten = entry.done.then(() => void this.#writes.delete(entry))
    this.#others.add(done)
    void done.then(() => this.#others.delete(done))
    if (wait && !this.#mayWait(offset, length)) await Promise.all([forgotten, done])
  }

  /** Of two writes to one sector at the same time either may win; the model wants an order. */
  async #alone(offset: number, length: number): Promise<{ first: number; last: number }> {
    const first = Math.floor(offset / sectorBytes)
    const last = Math.ceil((offset + length) / sectorBytes)
    const overlapping = [...this.#writes].filter(other => other.first < last && first < other.last)
    if (overlapping.length > 0) await this.#bringAll()
    return { first, last }
  }

  /** What it leaves in a sector is either what was there or zeros: the target tells. */
  async #trim(offset: number, wanted: number): Promise<void> {
    const length = Math.min(wanted, this.#options.image.size - offset)
    await this.#alone(offset, length)
    const zeros = Buffer.alloc(sectorBytes)
    const first = Math.ceil(offset / sectorBytes)
    const last = Math.floor((offset + length) / sectorBytes)
    const written = this.#model.sectors
      .slice(first, last)
      .map(sector => ({ sector, version: sector.versions.push(zeros) - 1 }))
    await this.#disk.trim(offset, length)
    const extents = await this.#disk.extents(0, this.#options.image.size)
    const own = extents.flatMap(({ presence, length: bytes }) =>
      Array.from({ length: bytes / sectorBytes }, () => presence === 'written')
    )
    for (const [index, entry] of written.entries()) {
      const at = (first + index) * sectorBytes
      const isZeroNow = own[first + index] === true && isZero(await this.#rawSector(at))
      if (isZeroNow) this.#model.end([entry])
    }
  }

  #rawSector(offset: number): Promise<Buffer> {
    return this.#target.read(offset, sectorBytes)
  }

  async #read(at: number, wanted: number, wait: boolean): Promise<void> {
    const { size } = this.#options.image
    const offset = Math.floor(at / sectorBytes) * sectorBytes
    const length = Math.min(Math.ceil(wanted / sectorBytes) * sectorBytes, size - offset)
    const shown = this.#model.shown()
    const life = this.#life
    const reading = this.#disk.read(offset, length).then(bytes => {
      if (life === this.#life) this.#model.judge(offset, Buffer.from(bytes), shown, 'in use')
    })
    await this.#track(reading, wait && !this.#mayWait(offset, length))
  }

  /** An operation on it may wait for a chunk that no step brings. */
  #mayWait(offset: number, length: number): boolean {
    const { chunkSize } = this.#options.image
    for (let chunk = Math.floor(offset / chunkSize); chunk * chunkSize < offset + length; chunk++) {
      if (this.#disk.needs(chunk)) return true
    }
    return false
  }

  async #track(work: Promise<void>, wait: boolean): Promise<void> {
    const done: Promise<void> = this.#settled(work).then(() => void this.#others.delete(done))
    this.#others.add(done)
    if (wait) await done
  }

  /** What the dead machine rejects with is no failure, everything else is one, at the next step. */
  #settled(work: Promise<void>): Promise<void> {
    return work.catch((error: unknown) => {
      if (!isDeath(error)) this.#failure ??= error as Error
    })
  }

  async #crash(kind: 'killed' | 'power-loss', after: number): Promise<void> {
    for (let index = 0; index < after; index++) await new Promise(setImmediate)
    this.#life++
    this.#devices = this.#devices.map(device => device.crash(kind))
    this.#layOut()
    this.#writes = new Set()
    this.#others = new Set()
    await this.start()
    const { size } = this.#options.image
    for (let offset = 0; offset < size; offset += 4096) await this.#pin(offset)
  }

  /** One of the possible contents is there, or the block is missing, that is, the image's. */
  async #pin(offset: number): Promise<void> {
    const { image } = this.#options
    const length = Math.min(4096, image.size - offset)
    const abandon = new AbortController()
    this.#needAsked = false
    const reading = this.#disk.read(offset, length, abandon.signal).catch((error: unknown) => {
      if (!abandon.signal.aborted) throw error
      return image.bytes.subarray(offset, offset + length)
    })
    if (this.#needAsked) abandon.abort()
    const bytes = Buffer.from(await reading)
    this.#model.judge(offset, bytes, this.#model.floors(), 'after a crash')
    this.#model.pin(offset, bytes)
  }
}

function isDeath(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.message === 'the machine is dead' || isDeath(error.cause)
}
