import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Workload } from './workloads.ts'

const execute = promisify(execFile)

export interface Measured {
  /** In the workload's unit. */
  readonly rate: number
  /** 99th percentile of the time that a request took, in microseconds. */
  readonly p99Us: number
}

interface FioSide {
  readonly iops: number
  readonly bw_bytes: number
  readonly total_ios: number
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> }
}

interface FioReport {
  readonly jobs: readonly {
    readonly error: number
    readonly read: FioSide
    readonly write: FioSide
  }[]
}

/** Rejects when fio fails or says that a request did. */
export async function runFio(uri: string, workload: Workload, seconds: number): Promise<Measured> {
  const { stdout } = await execute('fio', [
    ...['--name=nbd', '--ioengine=nbd', `--uri=${uri}`, `--size=${diskMiB}m`, '--randrepeat=0'],
    ...['--time_based', `--runtime=${seconds}`, '--ramp_time=0.3', '--output-format=json'],
    ...workload.fio
  ])
  return measuredBy(stdout, workload)
}

/** The disk that is measured: it fits the page cache, so that servers are compared, not disks. */
export const diskMiB = 256

export function measuredBy(stdout: string, workload: Workload): Measured {
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport
  const [job] = report.jobs
  if (job === undefined || job.error !== 0) throw new Error(`fio failed at ${workload.name}`)
  const side = job.read.total_ios > 0 ? job.read : job.write
  return {
    rate: workload.unit === 'IOPS' ? side.iops : side.bw_bytes / 1e6,
    p99Us: (side.clat_ns.percentile?.['99.000000'] ?? 0) / 1000
  }
}
