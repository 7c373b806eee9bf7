import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nextDataExtent } from '../../src/base/index.ts'
import { chunkIdOf, encodeFrame, isZero } from '../../src/image/index.ts'
import { run } from './commands.ts'
import { chunksTouched, parseTrace, type BootTrace } from './trace.ts'

/** What the lab is about: an image, the trace of its boot, and what it comes to in bytes. */
export interface Subject {
  readonly imagePath: string
  readonly cid: string
  readonly name: string
  readonly storePath: string
  readonly size: number
  readonly chunkSize: number
  /** zstd -3 of the distinct chunks that are not zero. */
  readonly storedBytes: number
  readonly trace: BootTrace
  /** The distinct chunks that the boot touches and that are not zero: id → bytes of the frame. */
  readonly bootSet: ReadonlyMap<string, number>
}

export interface SubjectOptions {
  /** Undefined: the Debian image is built. */
  readonly image: string | undefined
  readonly kernelDir: string | undefined
  /** Undefined: the one in the cache, else it is recorded. */
  readonly trace: string | undefined
  readonly folder: string
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

interface Imported {
  readonly cid: string
  readonly size: number
  readonly chunkSize: number
  readonly storedBytes: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))
export const launcher = join(root, 'bin/bootswarm')

export async function prepareSubject(options: SubjectOptions): Promise<Subject> {
  const { folder, note } = options
  const imagePath = options.image ?? (await buildImage(options))
  const storePath = join(folder, 'store')
  note('importing the image')
  const imported = await importImage(imagePath, storePath, options.signal)
  const tracePath = options.trace ?? (await recordedTrace(imagePath, imported.cid, options))
  const trace = parseTrace(await readFile(tracePath, 'utf8'), imported)
  note(`image ${imported.cid}: ${(imported.storedBytes / 1e6).toFixed(1)} MB stored`)
  return {
    ...imported,
    imagePath,
    storePath,
    name: 'lab:bench',
    trace,
    bootSet: await bootSetOf(imagePath, imported.chunkSize, trace)
  }
}

/** Positions of the chunks of an image that are not all zeros. */
export async function dataPositions(imagePath: string, chunkSize: number): Promise<number[]> {
  await using image = await open(imagePath, 'r')
  const { size } = await image.stat()
  const bytes = Buffer.alloc(chunkSize)
  const positions: number[] = []
  for (let offset = 0; offset < size; offset += chunkSize) {
    if (nextDataExtent(image.fd, offset, offset + chunkSize) === undefined) continue
    const { bytesRead } = await image.read(bytes, 0, chunkSize, offset)
    if (!isZero(bytes.subarray(0, bytesRead))) positions.push(offset / chunkSize)
  }
  return positions
}

async function buildImage({ folder, note, signal }: SubjectOptions): Promise<string> {
  note('building the Debian 12 image')
  const path = join(folder, 'debian-12.img')
  await run(join(root, 'images/debian-12/build.sh'), [path], signal)
  return path
}

async function importImage(
  imagePath: string,
  storePath: string,
  signal: AbortSignal
): Promise<Imported> {
  const args = ['image', 'import', imagePath, '--name', 'lab:bench', '--store', storePath, '--json']
  const lines = (await run(launcher, args, signal)).trim().split('\n')
  const imported = JSON.parse(lines.at(-1) ?? '') as Partial<Imported>
  const { cid, size, chunkSize, storedBytes } = imported
  if (!cid || !size || !chunkSize || !storedBytes) {
    throw new Error(`the import did not say what it imported: ${lines.at(-1)}`)
  }
  return { cid, size, chunkSize, storedBytes }
}

async function recordedTrace(
  imagePath: string,
  cid: string,
  { kernelDir, note, signal }: SubjectOptions
): Promise<string> {
  const cache = process.env.BOOTSWARM_CACHE ?? join(homedir(), '.cache/bootswarm')
  const path = join(cache, 'lab', `boot-${cid}.json`)
  if (await isThere(path)) return path
  await mkdir(dirname(path), { recursive: true })
  note('recording a boot of the image, once')
  const script = join(root, 'images/record-boot.sh')
  await run(script, [imagePath, kernelDir ?? dirname(imagePath), path, '--cid', cid], signal)
  return path
}

async function bootSetOf(
  imagePath: string,
  chunkSize: number,
  trace: BootTrace
): Promise<Map<string, number>> {
  await using image = await open(imagePath, 'r')
  const frames = new Map<string, number>()
  for (const position of chunksTouched(trace.reads, chunkSize)) {
    const bytes = Buffer.alloc(chunkSize)
    const { bytesRead } = await image.read(bytes, 0, chunkSize, position * chunkSize)
    const plain = bytes.subarray(0, bytesRead)
    const id = chunkIdOf(plain)
    if (isZero(plain) || frames.has(id)) continue
    frames.set(id, (await encodeFrame(plain)).bytes.length)
  }
  return frames
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false
  )
}
