export const contenderNames = ['bootswarm', 'nbdkit', 'qemu-nbd'] as const
export type ContenderName = (typeof contenderNames)[number]

/** What fio does; `target` is the least that bootswarm shall reach of what nbdkit does. */
export interface Workload {
  readonly name: string
  readonly fio: readonly string[]
  readonly unit: 'MB/s' | 'IOPS'
  readonly target: number
}

const job = (rw: string, bs: string, depth: number): string[] => [
  `--rw=${rw}`,
  `--bs=${bs}`,
  `--iodepth=${depth}`
]

/** The figures that were promised for the server, in the order. */
export const workloads: readonly Workload[] = [
  {
    name: 'sequential reads, 256 KiB, 4 at once',
    fio: job('read', '256k', 4),
    unit: 'MB/s',
    target: 0.95
  },
  {
    name: 'sequential reads, 1 MiB, 8 at once',
    fio: job('read', '1m', 8),
    unit: 'MB/s',
    target: 1
  },
  {
    name: 'random reads, 4 KiB, 16 at once',
    fio: job('randread', '4k', 16),
    unit: 'IOPS',
    target: 1
  },
  {
    name: 'random writes, 4 KiB, 16 at once',
    fio: job('randwrite', '4k', 16),
    unit: 'IOPS',
    target: 1
  },
  {
    name: 'random reads, 4 KiB, one at a time',
    fio: job('randread', '4k', 1),
    unit: 'IOPS',
    target: 0.9
  }
]
