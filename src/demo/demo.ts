import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limits } from '../base/index.ts'
import { fileError, type ImportResult } from '../image/index.ts'
import { makeTicket } from '../seed/index.ts'
import { importNamed, openOrCreateStore } from '../store/index.ts'
import { bootReads } from './boot-reads.ts'
import { buildDemoImage } from './build-image.ts'
import { DemoMachine, type MachineResult } from './machine.ts'
import { Child } from './processes.ts'

export interface DemoOptions {
  /** The user's own raw image; without it one is made of this machine's files. */
  readonly imagePath?: string
  readonly agents: number
  /** Where everything is put; a folder below it, removed at the end unless `keep`. */
  readonly parentFolder?: string
  readonly signal: AbortSignal
  readonly onStep: (step: string) => void
  /** Bytes done of bytes in all, for the steps that take long. */
  readonly onProgress: (label: string, done: number, all: number) => void
}

export interface DemoResult {
  readonly folder: string
  readonly storeDir: string
  readonly image: ImportResult
  readonly machines: readonly MachineResult[]
  /** Chunk payload that the seed sent. */
  readonly seedBytesSent: number
  readonly isVerified: boolean
  /** Stops the processes and removes the folder. */
  end(): Promise<void>
}

const imageName = 'demo'

/**
 * The whole product on one machine: makes an image, imports it, starts a seed and several agents as
 * processes of their own, boots from each disk while it streams, and compares every finished disk.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const parent = options.parentFolder ?? tmpdir()
  const folder = await mkdtemp(join(parent, 'bootswarm-demo-')).catch((error: unknown) => {
    throw fileError(error, parent)
  })
  const children: Child[] = []
  const end = async (): Promise<void> => {
    await Promise.all(children.map(child => child.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    return { ...(await play(options, folder, children)), folder, end }
  } catch (error) {
    await end()
    throw error
  }
}

async function play(
  options: DemoOptions,
  folder: string,
  children: Child[]
): Promise<Omit<DemoResult, 'folder' | 'end'>> {
  const { signal, onStep, agents } = options
  const imagePath = await prepareImage(options, folder)
  const storeDir = join(folder, 'store')
  onStep('importing it')
  const image = await importInto(storeDir, imagePath, options)
  onStep(`starting a seed and ${agents} agents, and booting from each`)
  const seed = new Child('the seed', [
    'seed',
    ...['--store', storeDir, '--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0']
  ])
  children.push(seed)
  await seed.until('ready', signal)
  const ticket = await makeTicket(storeDir, Date.now() + 60 * 60 * 1000)
  const reads = await bootReads(imagePath)
  const machines = Array.from({ length: agents }, (_, index) => {
    const name = `machine-${index + 1}`
    return new DemoMachine({ name, folder, ticket, image: imageName, imagePath, reads, signal })
  })
  children.push(...machines.map(machine => machine.child))
  const watch = setInterval(() => reportProgress(machines, image.size, options), 500)
  try {
    const results = await Promise.all(machines.map(machine => machine.run()))
    return {
      storeDir,
      image,
      machines: results,
      seedBytesSent: results.reduce((sum, result) => sum + result.bytesFromSeed, 0),
      isVerified: results.every(result => result.verdict === 'verified')
    }
  } finally {
    clearInterval(watch)
  }
}

async function prepareImage(options: DemoOptions, folder: string): Promise<string> {
  if (options.imagePath !== undefined) return options.imagePath
  const path = join(folder, 'demo.img')
  options.onStep("making a disk image of this machine's own files")
  await buildDemoImage({
    path,
    workDir: folder,
    signal: options.signal,
    onProgress: (done, all) => options.onProgress('gathering files', done, all)
  })
  return path
}

async function importInto(
  storeDir: string,
  path: string,
  { signal, onProgress }: DemoOptions
): Promise<ImportResult> {
  await using store = await openOrCreateStore(storeDir)
  const name = { name: imageName, tag: 'latest' }
  const { result } = await importNamed(store, name, {
    path,
    chunkSize: limits.chunkBytesDefault,
    signal,
    onProgress: ({ bytesDone, size }) => onProgress('importing', bytesDone, size)
  })
  return result
}

function reportProgress(
  machines: readonly DemoMachine[],
  size: number,
  { onProgress }: DemoOptions
): void {
  const present = machines.map(({ child }) => Number(child.latest('progress')?.present ?? 0))
  const mean = present.reduce((sum, share) => sum + share, 0) / machines.length
  onProgress('streaming', mean * size, size)
}
