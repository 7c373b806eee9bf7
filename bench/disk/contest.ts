import { execFile } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BenchProcess } from './bench-process.ts'
import { fio, type Pattern } from './fio.ts'

const run = promisify(execFile)

export type Place = 'device' | 'file'

export interface ContestOptions {
  readonly directory: string
  readonly bootswarm: string
  readonly ticket: string
  readonly seed: BenchProcess
  readonly sizeBytes: number
  readonly rounds: number
  readonly seconds: number
  /** Of the stream, so that it lasts as long as the contest. */
  readonly backgroundRate: number
}

export interface Measured {
  readonly place: Place
  readonly pattern: Pattern
  readonly ours: readonly number[]
  readonly nbdkit: readonly number[]
  /** Bytes a second that the stream brought while ours was measured. */
  readonly streamed: readonly number[]
}

/** What a client writes to a streaming agent and to nbdkit, in turn; the other one is stopped meanwhile. */
export async function contest(
  options: ContestOptions,
  place: Place,
  pattern: Pattern
): Promise<Measured> {
  const name = `${place}-${pattern}`
  const release: (() => Promise<unknown>)[] = []
  try {
    const [our, their] = await Promise.all(
      ['ours', 'theirs'].map(who => newDisk(options, `${name}-${who}`, place, release))
    )
    const ourSocket = join(options.directory, `${name}.sock`)
    const theirSocket = join(options.directory, `${name}-nbdkit.sock`)
    const nbdkit = new BenchProcess('nbdkit', 'nbdkit', [
      ...['--foreground', '--unix', theirSocket],
      ...['file', their ?? '']
    ])
    release.push(() => nbdkit.stop())
    await nbdkit.untilExists(theirSocket)
    const agent = new BenchProcess('agent', options.bootswarm, [
      ...['agent', '--ticket', options.ticket, '--image', 'bench:1', '--disk', our ?? ''],
      ...['--nbd', `unix:${ourSocket}`, '--name', name, '--json'],
      ...['--background-rate', String(options.backgroundRate)]
    ])
    release.push(() => agent.stop())
    await agent.until('progress')
    const measured = { ours: [] as number[], nbdkit: [] as number[], streamed: [] as number[] }
    for (let round = 0; round < options.rounds; round++) {
      const { sizeBytes, seconds, seed } = options
      const from = agent.events.length
      measured.ours.push(await fio(ourSocket, pattern, sizeBytes, seconds, round))
      measured.streamed.push(rateSince(agent, from))
      for (const process of [agent, seed]) process.pause()
      measured.nbdkit.push(await fio(theirSocket, pattern, sizeBytes, seconds, round))
      for (const process of [agent, seed]) process.goOn()
    }
    return { place, pattern, ...measured }
  } finally {
    for (const job of release.reverse()) await job()
  }
}

async function newDisk(
  { directory, sizeBytes }: ContestOptions,
  name: string,
  place: Place,
  release: (() => Promise<unknown>)[]
): Promise<string> {
  const file = join(directory, name)
  // Room for the metadata behind the image; nbdkit gets as much.
  const roomBytes = 128 * 1024 * 1024
  await writeFile(file, '')
  await truncate(file, place === 'device' ? sizeBytes + roomBytes : sizeBytes)
  if (place === 'file') return file
  const { stdout } = await run('losetup', ['--find', '--show', file])
  release.push(() => run('losetup', ['--detach', stdout.trim()]))
  return stdout.trim()
}

function rateSince(agent: BenchProcess, from: number): number {
  const lines = agent.events.slice(from).filter(line => line.event === 'progress')
  const [first, last] = [lines[0], lines.at(-1)]
  if (first === undefined || last === undefined || first === last) return 0
  const bytes = (line: typeof first): number =>
    (line.bytesFromSeed ?? 0) + (line.bytesFromPeers ?? 0)
  return (bytes(last) - bytes(first)) / ((last.seconds ?? 0) - (first.seconds ?? 0))
}
