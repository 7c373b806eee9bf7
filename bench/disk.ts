import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { BenchProcess } from './disk/bench-process.ts'
import { contest, type ContestOptions, type Measured, type Place } from './disk/contest.ts'
import type { Pattern } from './disk/fio.ts'
import { measureRestart } from './disk/restart.ts'
import { percentile } from './lab/statistics.ts'

// The disk bench; docs/bench-disk.md says what it measures and how.

const run = promisify(execFile)
const MiB = 1024 * 1024
const sizeBytes = 2048 * MiB
const noiseBytes = 512 * MiB
const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
/** `device-random` alone, say. */
const only = process.env.BENCH_ONLY
const bootswarm = resolve(import.meta.dirname, '../bin/bootswarm')

const contests: readonly { place: Place; pattern: Pattern; target: number }[] = [
  { place: 'device', pattern: 'random', target: 0.8 },
  { place: 'file', pattern: 'random', target: 0.5 },
  { place: 'file', pattern: 'sequential', target: 0.9 }
]

/** A quarter of it noise, in pieces all over it. */
async function makeImage(path: string): Promise<void> {
  const handle = await open(path, 'w')
  await handle.truncate(sizeBytes)
  for (let piece = 0; piece < noiseBytes / MiB; piece++) {
    await handle.write(randomBytes(MiB), 0, MiB, piece * MiB * (sizeBytes / noiseBytes))
  }
  await handle.close()
}

async function main(directory: string): Promise<void> {
  const store = join(directory, 'store')
  await makeImage(join(directory, 'image'))
  await run(bootswarm, [
    ...['image', 'import', join(directory, 'image')],
    ...['--name', 'bench:1', '--store', store]
  ])
  const seed = new BenchProcess('seed', bootswarm, [
    ...['seed', '--store', store, '--listen', '/ip4/127.0.0.1/tcp/0', '--http', '127.0.0.1:0'],
    '--json'
  ])
  try {
    await seed.until('ready')
    const { stdout } = await run(bootswarm, ['ticket', '--store', store])
    const ticket = stdout.trim()
    const options: ContestOptions = {
      ...{ directory, bootswarm, ticket, seed, sizeBytes, rounds },
      ...{ seconds: 4, backgroundRate: 8 * MiB }
    }
    const results: (Measured & { target: number })[] = []
    for (const { place, pattern, target } of contests) {
      if (only !== undefined && only !== `${place}-${pattern}`) continue
      results.push({ ...(await contest(options, place, pattern)), target })
      report(results.slice(-1))
    }
    const restart = await measureRestart(directory)
    report(results)
    console.log(
      `restart with a 100 GB image: ${restart.seconds.toFixed(2)} s, ` +
        `${(restart.memoryBytes / MiB).toFixed(1)} MiB of memory`
    )
    const results_ = process.env.BENCH_JSON
    if (results_ !== undefined) {
      await writeFile(results_, `${JSON.stringify({ results, restart }, undefined, 2)}\n`)
    }
  } finally {
    await seed.stop()
  }
}

function report(results: readonly (Measured & { target: number })[]): void {
  console.log('| on | writes | ours | nbdkit | ratio | wanted | stream |')
  console.log('|---|---|---|---|---|---|---|')
  for (const { place, pattern, ours, nbdkit, streamed, target } of results) {
    const [our, their] = [percentile(ours, 0.5), percentile(nbdkit, 0.5)]
    const shown = (value: number): string =>
      pattern === 'random' ? `${value.toFixed(0)} /s` : `${(value / MiB).toFixed(0)} MiB/s`
    const ratios = ours.map((value, index) => value / (nbdkit[index] ?? 1))
    const cells = [place, pattern, shown(our), shown(their), percentile(ratios, 0.5).toFixed(2)]
    const stream = `${(percentile(streamed, 0.5) / 1e6).toFixed(1)} MB/s`
    console.log(`| ${[...cells, target, stream].join(' | ')} |`)
  }
}

const parent = resolve(process.env.BENCH_FOLDER ?? '/var/tmp')
await mkdir(parent, { recursive: true })
const directory = await mkdtemp(join(parent, 'bootswarm-bench-disk-'))
try {
  await main(directory)
} finally {
  await rm(directory, { recursive: true, force: true })
}
