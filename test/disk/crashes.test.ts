import test from 'ava'
import fc from 'fast-check'
import { seededRandom, silentLogger } from '../../src/base/index.ts'
import type { Random } from '../../src/base/index.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { Metadata } from '../../src/disk/metadata.ts'
import { searchFile } from '../../src/disk/superblocks.ts'
import { TargetDisk } from '../../src/disk/target-disk.ts'
import { decodeFrame, isZero } from '../../src/image/index.ts'
import { CrashingStorage } from './crashing-storage.ts'
import { labKey, sampleImage } from './samples.ts'
import type { SampleImage } from './samples.ts'

// A disk under random work and crashes, against a model that knows for each 512-byte sector which
// contents it may have.

const sectorBytes = 512
const chunkSize = 16384
// A last chunk that is short, with a last block that is short.
const size = 5 * chunkSize + 4096 + 1536
const journalBytes = 2 * 2 * 4096
const asideBytes = 16 * 4096

type Step =
  | { kind: 'write'; at: number; length: number; wait: boolean }
  | { kind: 'read'; at: number; length: number; wait: boolean }
  | { kind: 'place'; chunk: number; wait: boolean }
  | { kind: 'flush'; wait: boolean }
  | { kind: 'finish'; wait: boolean }
  | { kind: 'distrust'; chunk: number }
  | { kind: 'reopen' }
  | { kind: 'killed' | 'power-loss'; after: number }

/** What a sector may hold: a crash leaves one of its contents from `floor` on. */
interface Sector {
  versions: Buffer[]
  /** Index of the version that is surely durable. */
  floor: number
  /** Index of the version that a read shows when no write is under way. */
  shown: number
}

class Machine {
  readonly image: SampleImage
  readonly #random: Random
  readonly #sectors: Sector[]
  #target: CrashingStorage
  #metadata: CrashingStorage
  #disk!: TargetDisk
  /** Grows at each crash: what an earlier life resolves no longer counts. */
  #life = 0
  #writes = new Set<{ first: number; last: number; done: Promise<void> }>()
  #others = new Set<Promise<void>>()
  #needAsked = false
  /** Chunks with writes that no flush had covered when power was lost: they may have landed unrecorded. */
  readonly #suspect = new Set<number>()

  constructor(image: SampleImage, random: Random, used: boolean) {
    this.image = image
    this.#random = random
    const size = regionsOf(image, { journalBytes, asideBytes }).totalBytes
    // A target that held something else before shows whatever is wrongly called present.
    this.#target = new CrashingStorage(Buffer.alloc(image.size, used ? 0xee : 0), random)
    this.#metadata = new CrashingStorage(Buffer.alloc(size), random)
    this.#sectors = Array.from({ length: image.size / sectorBytes }, (_, index) => ({
      versions: [image.bytes.subarray(index * sectorBytes, (index + 1) * sectorBytes)],
      floor: 0,
      shown: 0
    }))
  }

  async start(blankAtFirst: boolean): Promise<void> {
    const { image } = this
    const search = await searchFile(this.#metadata, 'metadata')
    if (search.kind === 'unusable') throw search.error
    const found = search.kind === 'found' ? search.found.superblock : undefined
    const fresh = { image, labKey, asideBytes, journalBytes, generation: 0, identity: undefined }
    const metadata =
      found === undefined
        ? await Metadata.create(this.#metadata, fresh)
        : await Metadata.load(this.#metadata, found)
    const blank = found === undefined ? blankAtFirst : found.blank
    this.#disk = await TargetDisk.start(
      { image, target: this.#target, metadata, blank, release: () => Promise.resolve() },
      { logger: silentLogger, onNeed: () => (this.#needAsked = true), onNeedless: () => {} }
    )
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case 'write':
        return this.#write(step.at, step.length, step.wait)
      case 'read':
        return this.#read(step.at, step.length, step.wait)
      case 'place':
        return this.#track(this.#place(step.chunk % this.image.chunkCount), step.wait)
      case 'flush':
        return this.#track(this.#flush(), step.wait)
      case 'finish':
        return this.#track(this.#disk.finish(), step.wait)
      case 'distrust':
        // Waited for, since it makes chunks needed that the next step may count on.
        return this.#track(this.#disk.distrust(step.chunk % this.image.chunkCount), true)
      case 'reopen':
        await this.#bringAll()
        await this.#disk.close()
        for (const sector of this.#sectors) sector.floor = sector.shown
        return this.start(false)
      case 'killed':
      case 'power-loss':
        return this.#crash(step.kind, step.after)
    }
  }

  /** Everything arrives; then all is read, verified, served, and compared with the target's bytes. */
  async end(): Promise<void> {
    await this.#bringAll()
    await this.#disk.finish()
    await this.#read(0, this.image.size, true)
    const { badChunks } = await this.#disk.verify(this.image)
    const strange = badChunks.filter(chunk => !this.#suspect.has(chunk))
    if (strange.length > 0) throw new Error(`chunks ${strange.join()} are bad`)
    for (let chunk = 0; chunk < this.image.chunkCount; chunk++) await this.#checkServed(chunk)
    await this.#disk.close()
    const expected = Buffer.concat(
      this.#sectors.map(({ versions, shown }) => versions[shown] ?? Buffer.alloc(0))
    )
    if (!this.#target.bytes.equals(expected)) {
      throw new Error('the target is not the image and what was written')
    }
  }

  async #checkServed(chunk: number): Promise<void> {
    const served = await this.#disk.pristine(chunk)
    if ((served !== undefined) !== this.#disk.servable(chunk)) throw new Error('said otherwise')
    if (served === undefined || this.#suspect.has(chunk)) return
    const plain = 'plain' in served ? served.plain : await decodeFrame(served.frame, chunkSize)
    if (!this.image.chunk(chunk).equals(plain)) throw new Error(`chunk ${chunk} is served wrongly`)
  }

  async #bringAll(): Promise<void> {
    await this.#placeNeeded()
    while (this.#writes.size + this.#others.size > 0) {
      const pending = [...[...this.#writes].map(({ done }) => done), ...this.#others]
      await Promise.race(pending)
      // What has just ended may have made a chunk needed that another operation waits for.
      await this.#placeNeeded()
    }
  }

  async #placeNeeded(): Promise<void> {
    for (let chunk = 0; chunk < this.image.chunkCount; chunk++) await this.#place(chunk)
  }

  async #place(chunk: number): Promise<void> {
    if (!this.#disk.needs(chunk)) return
    const plain = this.image.chunk(chunk)
    if (isZero(plain)) this.#disk.placeZero(chunk)
    else await this.#disk.place(chunk, Buffer.from(plain))
  }

  async #flush(): Promise<void> {
    const shown = this.#sectors.map(sector => sector.shown)
    const life = this.#life
    await this.#disk.flush()
    if (life !== this.#life) return
    for (const [index, sector] of this.#sectors.entries()) {
      sector.floor = Math.max(sector.floor, shown[index] ?? 0)
    }
  }

  async #write(at: number, wanted: number, wait: boolean): Promise<void> {
    const offset = at % this.image.size
    const length = Math.min(wanted, this.image.size - offset)
    const first = Math.floor(offset / sectorBytes)
    const last = Math.ceil((offset + length) / sectorBytes)
    // Of two writes to one sector at the same time either may win; the model wants an order.
    const overlapping = [...this.#writes].filter(other => other.first < last && first < other.last)
    if (overlapping.length > 0) await this.#bringAll()
    const data = Buffer.alloc(length, Math.floor(this.#random.next() * 256))
    const versions = this.#addVersions(first, last, offset, data)
    const life = this.#life
    const done = this.#disk.write(offset, data).then(() => {
      if (life !== this.#life) return
      for (const { sector, version } of versions) sector.shown = version
    }, ignoreDeath)
    const entry = { first, last, done }
    this.#writes.add(entry)
    const forgotten = done.then(() => void this.#writes.delete(entry))
    if (wait && !this.#mayWait(offset, length)) await forgotten
  }

  #addVersions(
    first: number,
    last: number,
    offset: number,
    data: Buffer
  ): { sector: Sector; version: number }[] {
    return this.#sectors.slice(first, last).map((sector, index) => {
      const start = (first + index) * sectorBytes
      const bytes = Buffer.from(sector.versions[sector.shown] ?? [])
      const from = Math.max(offset, start)
      const to = Math.min(offset + data.length, start + sectorBytes)
      data.copy(bytes, from - start, from - offset, to - offset)
      return { sector, version: sector.versions.push(bytes) - 1 }
    })
  }

  async #read(at: number, wanted: number, wait: boolean): Promise<void> {
    const offset = Math.floor((at % this.image.size) / sectorBytes) * sectorBytes
    const length = Math.min(Math.ceil(wanted / sectorBytes) * sectorBytes, this.image.size - offset)
    const shown = this.#sectors.map(sector => sector.shown)
    const life = this.#life
    const reading = this.#disk.read(offset, length).then(bytes => {
      if (life === this.#life) this.#judge(offset, Buffer.from(bytes), shown)
    })
    await this.#track(reading, wait && !this.#mayWait(offset, length))
  }

  /** An operation on it may wait for a chunk that no step brings. */
  #mayWait(offset: number, length: number): boolean {
    for (let chunk = Math.floor(offset / chunkSize); chunk * chunkSize < offset + length; chunk++) {
      if (this.#disk.needs(chunk)) return true
    }
    return false
  }

  async #track(work: Promise<void>, wait: boolean): Promise<void> {
    const done: Promise<void> = work.catch(ignoreDeath).then(() => void this.#others.delete(done))
    this.#others.add(done)
    if (wait) await done
  }

  /** What was read is what the sector showed when the read began, or something later. */
  #judge(offset: number, bytes: Buffer, from: readonly number[]): void {
    for (let start = 0; start < bytes.length; start += sectorBytes) {
      const index = (offset + start) / sectorBytes
      const allowed = this.#sectors[index]?.versions.slice(from[index]) ?? []
      const read = bytes.subarray(start, start + sectorBytes)
      if (allowed.some(version => version.equals(read))) continue
      throw new Error(`sector ${index} reads 0x${read.toString('hex', 0, 4)}, which it cannot hold`)
    }
  }

  async #crash(kind: 'killed' | 'power-loss', after: number): Promise<void> {
    for (let index = 0; index < after; index++) await new Promise(setImmediate)
    this.#life++
    if (kind === 'power-loss') this.#suspectUnflushed()
    this.#target = this.#target.crash(kind)
    this.#metadata = this.#metadata.crash(kind)
    this.#writes = new Set()
    this.#others = new Set()
    await this.start(false)
    for (let block = 0; block * 4096 < this.image.size; block++) await this.#pin(block * 4096)
  }

  #suspectUnflushed(): void {
    for (const [index, { versions, floor }] of this.#sectors.entries()) {
      if (versions.length > floor + 1)
        this.#suspect.add(Math.floor((index * sectorBytes) / chunkSize))
    }
  }

  /** After a crash: one of the possible contents is there, or the block is missing, that is, the image's. */
  async #pin(offset: number): Promise<void> {
    const length = Math.min(4096, this.image.size - offset)
    const abandon = new AbortController()
    this.#needAsked = false
    const reading = this.#disk.read(offset, length, abandon.signal).catch((error: unknown) => {
      if (!abandon.signal.aborted) throw error
      return this.image.bytes.subarray(offset, offset + length)
    })
    if (this.#needAsked) abandon.abort()
    const bytes = Buffer.from(await reading)
    const floors = this.#sectors.map(sector => sector.floor)
    this.#judge(offset, bytes, floors)
    for (let start = 0; start < length; start += sectorBytes) {
      const sector = this.#sectors[(offset + start) / sectorBytes]
      if (sector === undefined) continue
      sector.versions = [
        ...sector.versions.slice(sector.floor),
        bytes.subarray(start, start + sectorBytes)
      ]
      sector.floor = 0
      sector.shown = sector.versions.length - 1
    }
  }
}

function ignoreDeath(error: unknown): void {
  if (error instanceof Error && error.message === 'the machine is dead') return
  if (error instanceof Error && error.cause !== undefined) return ignoreDeath(error.cause)
  throw error
}

const at = fc.nat({ max: size - 1 })
// Where much happens at once: the sectors of a few blocks.
const busy = fc.nat({ max: 40 }).map(sector => sector * sectorBytes)
const aligned = fc.nat({ max: Math.floor(size / 4096) }).map(block => block * 4096)
const length = fc.oneof(
  fc.constant(4096),
  fc.constant(sectorBytes),
  fc.integer({ min: 1, max: 600 }),
  fc.integer({ min: 1, max: 3 * chunkSize })
)
const wait = fc.boolean()
const commonSteps: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      at: fc.oneof(at, aligned, busy),
      length,
      wait
    })
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read'), at, length, wait }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('place'), chunk: fc.nat(), wait }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush'), wait }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish'), wait }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) }
]
const crash = (kind: 'killed' | 'power-loss'): fc.WeightedArbitrary<Step> => ({
  weight: 2,
  arbitrary: fc.record({ kind: fc.constant(kind), after: fc.nat({ max: 30 }) })
})
const distrust: fc.WeightedArbitrary<Step> = {
  weight: 1,
  arbitrary: fc.record({ kind: fc.constant('distrust'), chunk: fc.nat() })
}

const runs = Number(process.env.DISK_CRASH_RUNS ?? 100)

async function live(seed: number, used: boolean, steps: readonly Step[]): Promise<void> {
  const random = seededRandom(seed)
  const image = sampleImage(1, size, { zeroChunks: [1, 3] })
  const machine = new Machine(image, random, used)
  await machine.start(!used)
  for (const step of steps) await machine.run(step)
  await machine.end()
}

const seed = fc.integer({ min: 0, max: 0xffff_ffff })

test('a killed agent leaves nothing wrong behind', async t => {
  const steps = fc.array(fc.oneof(...commonSteps, crash('killed'), distrust), {
    maxLength: 80,
    size: 'max'
  })
  await t.notThrowsAsync(
    fc.assert(fc.asyncProperty(seed, fc.boolean(), steps, live), {
      numRuns: runs,
      includeErrorInReport: true
    })
  )
})

test('a loss of power leaves every flushed write, and nothing that was never written', async t => {
  const steps = fc.array(fc.oneof(...commonSteps, crash('killed'), crash('power-loss')), {
    maxLength: 80,
    size: 'max'
  })
  await t.notThrowsAsync(
    fc.assert(fc.asyncProperty(seed, fc.boolean(), steps, live), {
      numRuns: runs,
      includeErrorInReport: true
    })
  )
})
