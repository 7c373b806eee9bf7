import test from 'ava'
import fc from 'fast-check'
import { seededRandom, silentLogger } from '../../src/base/index.ts'
import type { Random } from '../../src/base/index.ts'
import { regionsOf } from '../../src/disk/format.ts'
import { Metadata } from '../../src/disk/metadata.ts'
import { redeploy } from '../../src/disk/redeploying.ts'
import type { NewPlace, Relocating, Reuse } from '../../src/disk/redeploying.ts'
import { searchFile } from '../../src/disk/superblocks.ts'
import type { FoundMetadata } from '../../src/disk/superblocks.ts'
import { TargetDisk } from '../../src/disk/target-disk.ts'
import { chunkIdOf, isZero, zeroId } from '../../src/image/index.ts'
import { CrashingStorage } from './crashing-storage.ts'
import { labKey, placeAll, sampleImage } from './samples.ts'
import type { SampleImage } from './samples.ts'

// A disk with a random image and random writes is switched to another image that shares chunks with
// it, at the same and at other places, and is killed or loses power again and again on the way.

const chunkSize = 16384
const journalBytes = 2 * 2 * 4096

/** Where the new image gets a chunk from: the earlier image's chunk of that number, or elsewhere. */
type Origin = { kind: 'same' } | { kind: 'other'; chunk: number } | { kind: 'new' | 'zero' }

interface Case {
  readonly seed: number
  readonly chunks: number
  readonly tail: number
  readonly origins: readonly Origin[]
  readonly newTail: number
  readonly asidePages: number
  readonly missing: readonly number[]
  readonly writes: readonly { chunk: number; at: number; length: number }[]
  readonly scan: boolean
  /** How the earlier deployment ended; its last writes may have landed without a record of them. */
  readonly end: 'closed' | 'killed' | 'power-loss'
  /** How many turns of the event loop each attempt has, and how it ends. */
  readonly crashes: readonly { after: number; kind: 'killed' | 'power-loss' }[]
}

function imageOf(bytes: Buffer, name: string): SampleImage {
  const chunk = (position: number): Buffer =>
    bytes.subarray(position * chunkSize, Math.min((position + 1) * chunkSize, bytes.length))
  return {
    imageId: chunkIdOf(Buffer.from(`${name} ${chunkIdOf(bytes)}`)),
    size: bytes.length,
    chunkSize,
    chunkCount: Math.ceil(bytes.length / chunkSize),
    bytes,
    chunk,
    chunkIdAt: position => (isZero(chunk(position)) ? zeroId : chunkIdOf(chunk(position)))
  }
}

function imagesOf({ seed, chunks, tail, origins, newTail }: Case): [SampleImage, SampleImage] {
  const former = sampleImage(seed, chunks * chunkSize + tail, { chunkSize, zeroChunks: [1] })
  const fresh = sampleImage(seed + 1, origins.length * chunkSize + newTail, { chunkSize })
  const bytes = Buffer.from(fresh.bytes)
  for (const [position, origin] of origins.entries()) {
    const place = bytes.subarray(position * chunkSize, (position + 1) * chunkSize)
    if (origin.kind === 'zero') place.fill(0)
    const chunk = origin.kind === 'other' ? origin.chunk % chunks : position
    if (origin.kind === 'same' || origin.kind === 'other') {
      if (chunk < chunks) former.chunk(chunk).copy(place)
    }
  }
  if (newTail === tail && newTail > 0) former.chunk(chunks).copy(bytes, origins.length * chunkSize)
  return [imageOf(former.bytes, 'former'), imageOf(bytes, 'new')]
}

class Disk {
  readonly former: SampleImage
  readonly wanted: SampleImage
  readonly #case: Case
  readonly #random: Random
  target: CrashingStorage
  #metadata: CrashingStorage
  #beside: CrashingStorage | undefined

  constructor(plan: Case) {
    this.#case = plan
    this.#random = seededRandom(plan.seed)
    const [former, wanted] = imagesOf(plan)
    this.former = former
    this.wanted = wanted
    const asideBytes = plan.asidePages * 4096
    const { totalBytes } = regionsOf(former, { journalBytes, asideBytes })
    this.target = new CrashingStorage(
      Buffer.alloc(Math.max(former.size, wanted.size)),
      this.#random
    )
    this.#metadata = new CrashingStorage(Buffer.alloc(totalBytes), this.#random)
  }

  /** The earlier deployment: streamed but for some chunks, written to, and stopped in whatever way. */
  async useFormer(): Promise<void> {
    const { former } = this
    const asideBytes = this.#case.asidePages * 4096
    const fresh = { image: former, labKey, asideBytes, journalBytes, generation: 0 }
    const metadata = await Metadata.create(this.#metadata, { ...fresh, identity: undefined })
    const disk = await this.#start(former, metadata, undefined)
    for (let chunk = 0; chunk < former.chunkCount; chunk++) {
      if (this.#case.missing.includes(chunk)) continue
      const plain = former.chunk(chunk)
      if (isZero(plain)) disk.placeZero(chunk)
      else await disk.place(chunk, plain)
    }
    await disk.finish()
    const writes = this.#case.writes.map(({ chunk, at, length }) => {
      const offset = (chunk % former.chunkCount) * chunkSize + at
      const chunkEnd = ((chunk % former.chunkCount) + 1) * chunkSize
      const end = Math.min(offset + length, chunkEnd, former.size)
      const isLost = this.#case.missing.includes(chunk % former.chunkCount)
      if (end <= offset || isLost) return Promise.resolve()
      return disk.write(offset, Buffer.alloc(end - offset, 0xdd))
    })
    const { end } = this.#case
    if (end === 'closed') {
      await Promise.all(writes)
      await disk.close()
      return
    }
    await Promise.race([Promise.allSettled(writes), turns(this.#case.seed % 100)])
    this.target = this.target.crash(end)
    this.#metadata = this.#metadata.crash(end)
    await Promise.allSettled(writes)
    await disk.close().catch(() => {})
  }

  #start(
    image: SampleImage,
    metadata: Metadata,
    relocating: Relocating | undefined
  ): Promise<TargetDisk> {
    return TargetDisk.start(
      {
        ...{ image, target: this.target, metadata, blank: false, relocating },
        release: () => Promise.resolve()
      },
      { logger: silentLogger, onNeed: () => {}, onNeedless: () => {} }
    )
  }

  /** What a start with --redeploy does. */
  async open(): Promise<TargetDisk> {
    const search = await searchFile(this.#metadata, 'metadata')
    if (search.kind !== 'found') throw new Error(search.kind)
    const reuse = this.#reuse()
    const { superblock } = search.found
    if (superblock.image.imageId === this.wanted.imageId) {
      const metadata = await Metadata.load(this.#metadata, superblock)
      return this.#start(this.wanted, metadata, { reuse, moves: undefined, keptBytes: 0 })
    }
    const { metadata, relocating } = await this.#redeploy(search.found, reuse)
    return this.#start(this.wanted, metadata, relocating)
  }

  #reuse(): Reuse {
    return { names: this.wanted, formerNames: () => Promise.resolve(this.former) }
  }

  #redeploy(found: FoundMetadata, reuse: Reuse) {
    const { wanted: image } = this
    const place: NewPlace = {
      kind: 'file',
      make: size => {
        this.#beside = new CrashingStorage(Buffer.alloc(size), this.#random)
        return Promise.resolve(this.#beside)
      },
      commit: async () => {
        if (this.#beside !== undefined) this.#metadata = this.#beside
      }
    }
    const { scan } = this.#case
    const writes = 'keep' as const
    const { target } = this
    const logger = silentLogger
    return redeploy({ image, labKey, writes, reuse, scan, target, found, place, logger })
  }

  async openUntilCrash(after: number, kind: 'killed' | 'power-loss'): Promise<boolean> {
    const outcome = this.open()
      .then(disk => disk.close())
      .then(
        () => true,
        () => false
      )
    const isDone = await Promise.race([outcome, turns(after)])
    if (isDone === true) return true
    // What has not been synced of the metadata may be lost while the target's is not, and so on.
    this.target = this.target.crash(kind)
    this.#metadata = this.#metadata.crash(kind)
    await outcome
    return false
  }
}

async function turns(count: number): Promise<undefined> {
  for (let index = 0; index < count; index++) await new Promise(resolve => setImmediate(resolve))
  return undefined
}

/** No chunk that is called present may be anything but the new image's. */
async function checkPresent(disk: TargetDisk, { wanted }: Disk): Promise<void> {
  const { badChunks } = await disk.verify(wanted)
  if (badChunks.length > 0) throw new Error(`chunks ${badChunks.join()} are not the new image's`)
}

async function checkAll(plan: Case): Promise<void> {
  const machine = new Disk(plan)
  await machine.useFormer()
  for (const { after, kind } of plan.crashes) await machine.openUntilCrash(after, kind)
  const disk = await machine.open()
  await checkPresent(disk, machine)
  if (plan.crashes.length === 0 && plan.end !== 'power-loss') checkReused(disk, machine, plan)
  await placeAll(disk, machine.wanted)
  await disk.finish()
  await checkPresent(disk, machine)
  await disk.close()
  const { size, bytes } = machine.wanted
  if (!machine.target.bytes.subarray(0, size).equals(bytes)) throw new Error('not the new image')
}

/** What the disk held and nobody wrote into need not be fetched, wherever it lay. */
function checkReused(disk: TargetDisk, { former, wanted }: Disk, plan: Case): void {
  const isLost = (chunk: number): boolean =>
    plan.missing.includes(chunk) ||
    plan.writes.some(({ chunk: number, at, length }) => {
      const start = (number % former.chunkCount) * chunkSize + at
      return start < (chunk + 1) * chunkSize && chunk * chunkSize < start + length
    })
  const held = new Set<string>()
  for (let chunk = 0; chunk < former.chunkCount; chunk++) {
    if (!isLost(chunk)) held.add(former.chunkIdAt(chunk))
  }
  for (let chunk = 0; chunk < wanted.chunkCount; chunk++) {
    const id = wanted.chunkIdAt(chunk)
    if (id !== zeroId && held.has(id) && disk.needs(chunk)) {
      throw new Error(`chunk ${chunk} is to be fetched, though the disk held it`)
    }
  }
}

const origin: fc.Arbitrary<Origin> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'same' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('other' as const), chunk: fc.nat({ max: 20 }) })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('new' as const, 'zero' as const) }) }
)
const tails = fc.constantFrom(0, 4096 + 1536)
const sizes = fc.integer({ min: 3, max: 9 })

const anyCase = (crashesMax: number): fc.Arbitrary<Case> =>
  sizes.chain(chunks =>
    fc.record({
      seed: fc.nat(),
      chunks: fc.constant(chunks),
      tail: tails,
      newTail: tails,
      origins: fc.oneof(
        fc.array(origin, { minLength: chunks, maxLength: chunks }),
        // A permutation: nothing but circles.
        fc
          .shuffledSubarray([...Array(chunks).keys()], { minLength: chunks })
          .map(order => order.map(chunk => ({ kind: 'other' as const, chunk }))),
        fc.array(origin, { minLength: 2, maxLength: 10 })
      ),
      // Room for many circles at a time, for one, or for frames of a few pages only.
      asidePages: fc.constantFrom(64, 9, 4),
      missing: fc.array(fc.nat({ max: 9 }), { maxLength: 2 }),
      writes: fc.array(
        fc.record({
          chunk: fc.nat({ max: 9 }),
          at: fc.nat({ max: chunkSize - 1 }),
          length: fc.integer({ min: 1, max: chunkSize })
        }),
        { maxLength: 3 }
      ),
      scan: fc.boolean(),
      end: fc.constantFrom('closed' as const, 'killed' as const, 'power-loss' as const),
      crashes: fc.array(
        fc.record({
          after: fc.nat({ max: 400 }),
          kind: fc.constantFrom('killed' as const, 'power-loss' as const)
        }),
        { maxLength: crashesMax }
      )
    })
  )

const runs = Number(process.env.BOOTSWARM_CRASH_RUNS ?? 150)

test('whatever the disk held is used again, wherever it lay', async t => {
  t.timeout(110_000)
  await t.notThrowsAsync(
    fc.assert(fc.asyncProperty(anyCase(0), checkAll), { numRuns: runs, includeErrorInReport: true })
  )
})

test('however often it crashes on the way, the disk ends as the new image', async t => {
  t.timeout(110_000)
  await t.notThrowsAsync(
    fc.assert(fc.asyncProperty(anyCase(4), checkAll), { numRuns: runs, includeErrorInReport: true })
  )
})
