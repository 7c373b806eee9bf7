import { setImmediate as breathe } from 'node:timers/promises'
import { isErrorCode, limits } from '../base/index.ts'
import type { ChunkId, Frame } from '../base/index.ts'
import { chunkIdOf, decodeFrame, isZero, zeroId } from '../image/index.ts'
import type { BackgroundPace } from './background-pace.ts'
import { bytesOf } from './block-ranges.ts'
import type { ChunkLocks } from './chunk-locks.ts'
import type { ChunkStates } from './chunk-states.ts'
import { adoptHiddenWrites } from './hidden-writes.ts'
import { masks } from './presence-map.ts'
import type { Recorder } from './recorder.ts'
import type { Storage } from './storage.ts'

/** The part of a manifest that a verification needs. */
export interface ChunkNames {
  /** `zeroId` for an all-zero chunk; undefined if the page is not here. */
  chunkIdAt(position: number): ChunkId | undefined
}

export interface VerifyOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { bytesDone: number; size: number }) => void
}

export interface VerifyReport {
  /** Bytes on the target that were compared with the image and are its. */
  readonly verifiedBytes: number
  /** Bytes in blocks that the machine wrote: they are its own. */
  readonly machineWrittenBytes: number
  /** Bytes in other blocks of chunks whose pristine frame is lost, missing, or not named. */
  readonly unverifiableBytes: number
  /** Positions of the chunks that differ from the image where the machine did not write, or as put aside. */
  readonly badChunks: readonly number[]
}

export interface VerificationParts {
  readonly states: ChunkStates
  readonly locks: ChunkLocks
  readonly target: Storage
  readonly recorder: Recorder
  readonly pace: BackgroundPace
}

/** So many holes are looked at before others have a turn. */
const holesAtOnce = 1024

interface ChunkVerdict {
  readonly verified: number
  readonly written: number
  readonly unverifiable: number
  readonly bad: boolean
}

/** Reads the whole target and compares every block that the machine did not write with the image. */
export async function verifyTarget(
  parts: VerificationParts,
  names: ChunkNames,
  { signal, onProgress }: VerifyOptions
): Promise<VerifyReport> {
  const { image } = parts.states
  const totals = { verifiedBytes: 0, machineWrittenBytes: 0, unverifiableBytes: 0 }
  const badChunks: number[] = []
  let bytesDone = 0
  // One buffer for the whole disk: a new one a chunk is garbage that costs more than the hashing.
  const scratch = Buffer.allocUnsafe(image.chunkSize)
  for (let position = 0; position < image.chunkCount; position++) {
    signal?.throwIfAborted()
    const id = names.chunkIdAt(position)
    const verdict =
      holeVerdict(parts, position, id) ?? (await verifyInTurn(parts, position, id, scratch, signal))
    if (position % holesAtOnce === 0) await breathe()
    totals.verifiedBytes += verdict.verified
    totals.machineWrittenBytes += verdict.written
    totals.unverifiableBytes += verdict.unverifiable
    if (verdict.bad) badChunks.push(position)
    bytesDone += parts.states.lengthOf(position)
    onProgress?.({ bytesDone, size: image.size })
  }
  return { ...totals, badChunks }
}

/** Most of a sparse file is holes: to read them one by one takes longer than all the rest. */
function holeVerdict(
  { states, target }: VerificationParts,
  position: number,
  id: ChunkId | undefined
): ChunkVerdict | undefined {
  const length = states.lengthOf(position)
  const isHole =
    id === zeroId &&
    states.isPristine(position) &&
    target.isHole(position * states.image.chunkSize, length)
  return isHole ? { verified: length, written: 0, unverifiable: 0, bad: false } : undefined
}

async function verifyInTurn(
  parts: VerificationParts,
  position: number,
  id: ChunkId | undefined,
  scratch: Buffer,
  signal: AbortSignal | undefined
): Promise<ChunkVerdict> {
  if (id === zeroId) learnZero(parts, position)
  await parts.pace.turn(parts.states.lengthOf(position), signal)
  return verifyOrAdopt(parts, position, id, scratch)
}

/**
 * A crash can take the record that a present chunk is zeros. What was put aside of it since may hold
 * what the machine wrote before the crash; as a chunk of zeros it needs no frame.
 */
function learnZero({ states, recorder }: VerificationParts, position: number): void {
  if ((states.map.chunkStates(position) & masks.missing) !== 0) return
  if (!states.zero.set(position, true)) return
  recorder.zeroKnown(position)
  states.refresh(position)
}

/** What the machine wrote before a crash that took the record of it is no damage. */
async function verifyOrAdopt(
  parts: VerificationParts,
  position: number,
  id: ChunkId | undefined,
  scratch: Buffer
): Promise<ChunkVerdict> {
  const { states, locks, recorder } = parts
  const verdict = await verifyChunk(parts, position, id, scratch)
  if (!verdict.bad || id === undefined || !states.mayHideWrites(position)) return verdict
  const adopted = await locks.run(position, 'exclusive', async () => {
    const expected = await pristineOf(states, position, id)
    if (expected === undefined || recorder.isUnrecorded(position)) return false
    await adoptHiddenWrites(parts, position, expected)
    return true
  })
  return adopted ? verifyChunk(parts, position, id, scratch) : verdict
}

async function verifyChunk(
  { states, locks, target }: VerificationParts,
  position: number,
  id: ChunkId | undefined,
  scratch: Buffer
): Promise<ChunkVerdict> {
  const chunkLength = states.lengthOf(position)
  // Shared: the machine may go on writing where it has written, and no chunk is put aside meanwhile.
  return locks.run(position, 'shared', async () => {
    const start = position * states.image.chunkSize
    const into = scratch.subarray(0, chunkLength)
    const actual = await target.read(start, chunkLength, into).catch(ifUnreadable)
    if (actual === undefined) return unreadableVerdict(states, position)
    // A block becomes the machine's before its data changes, so that what is still pristine after
    // the read was so during all of it.
    const untouched = states.isPristine(position)
    if (untouched && id !== undefined) {
      const same = isNamed(actual, id)
      return { verified: same ? chunkLength : 0, written: 0, unverifiable: 0, bad: !same }
    }
    const expected = id === undefined ? undefined : await pristineOf(states, position, id)
    const verdict = compareBlocks(states, position, actual, expected)
    // A frame that is there but not the image's would be kept for ever if the chunk were not bad.
    const wrongAside = id !== undefined && expected === undefined && states.aside.has(position)
    return wrongAside ? { ...verdict, bad: true } : verdict
  })
}

function ifUnreadable(error: unknown): undefined {
  if (!isErrorCode(error, 'ERR_DISK_IO')) throw error
}

/** What is the image's is fetched again and rewritten; a failing block of the machine is its own. */
function unreadableVerdict(states: ChunkStates, position: number): ChunkVerdict {
  const { map, image } = states
  const { block, count } = map.chunk(position)
  const bytes = (mask: number): number =>
    map.runs(block, count, mask).reduce((sum, run) => sum + bytesOf(run, image.size).length, 0)
  const written = bytes(masks.written)
  const bad = written === 0
  return { verified: 0, written, unverifiable: bad ? 0 : bytes(masks.unwritten), bad }
}

function compareBlocks(
  { map, image }: ChunkStates,
  position: number,
  actual: Buffer,
  expected: Uint8Array | undefined
): ChunkVerdict {
  const start = position * image.chunkSize
  const { block, count } = map.chunk(position)
  let verified = 0
  let unverifiable = 0
  let bad = false
  for (const run of map.runs(block, count, masks.unwritten)) {
    const { offset, length } = bytesOf(run, image.size)
    const same = (bytes: Uint8Array): Uint8Array =>
      bytes.subarray(offset - start, offset - start + length)
    const missing = map.any(run.block, run.count, masks.missing)
    if (expected === undefined || missing) unverifiable += length
    else if (Buffer.compare(same(actual), same(expected)) === 0) verified += length
    else bad = true
  }
  const written = map
    .runs(block, count, masks.written)
    .reduce((sum, run) => sum + bytesOf(run, image.size).length, 0)
  return { verified, written, unverifiable, bad }
}

/** The image's bytes of a chunk that the machine wrote into, if they were put aside and are intact. */
async function pristineOf(
  states: ChunkStates,
  position: number,
  id: ChunkId
): Promise<Uint8Array | undefined> {
  if (id === zeroId) return zerosOf(states.lengthOf(position))
  const frame: Frame | undefined = await states.aside.get(position)
  states.refresh(position)
  if (frame === undefined) return undefined
  const plain = await decodeFrame(frame, limits.chunkBytesMax).catch(() => undefined)
  return plain !== undefined && chunkIdOf(plain) === id ? plain : undefined
}

// Most of a large image is zeros: a buffer of them for each chunk was 200 MB of garbage at a time.
let zeros = Buffer.alloc(0)

function zerosOf(length: number): Uint8Array {
  if (zeros.length < length) zeros = Buffer.alloc(length)
  return zeros.subarray(0, length)
}

function isNamed(plain: Uint8Array, id: ChunkId): boolean {
  return id === zeroId ? isZero(plain) : chunkIdOf(plain) === id
}
