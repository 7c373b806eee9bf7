import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Random: 4 KiB each, and each flushed. Sequential: 1 MiB each, four under way, flushed at the end. */
export type Pattern = 'random' | 'sequential'

const patterns: Readonly<Record<Pattern, readonly string[]>> = {
  random: ['--rw=randwrite', '--bs=4k', '--iodepth=1', '--fsync=1'],
  sequential: ['--rw=write', '--bs=1M', '--iodepth=4', '--end_fsync=1']
}

interface FioReport {
  readonly jobs: readonly [{ readonly write: { readonly iops: number; readonly bw_bytes: number } }]
}

/** Writes a second (random) or bytes a second (sequential). */
export async function fio(
  socket: string,
  pattern: Pattern,
  sizeBytes: number,
  seconds: number,
  seed: number
): Promise<number> {
  const { stdout } = await run('fio', [
    ...['--name=bench', '--ioengine=nbd', `--uri=nbd+unix:///?socket=${socket}`],
    ...[`--size=${sizeBytes}`, '--time_based=1', `--runtime=${seconds}`, '--output-format=json'],
    ...[`--randseed=${seed}`, '--buffer_compress_percentage=0', '--refill_buffers=1'],
    ...patterns[pattern]
  ])
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport
  const { iops, bw_bytes: bandwidth } = report.jobs[0].write
  return pattern === 'random' ? iops : bandwidth
}
