import { runBootswarm } from './bootswarm.ts'
import { needPrograms, run as runCommand } from './commands.ts'
import { runHttp } from './http.ts'
import { python, runLibtorrent } from './libtorrent.ts'
import { runNbdkit } from './nbdkit.ts'
import type { ContenderName, Workload } from './options.ts'
import type { Outcome, Run } from './run.ts'

/** What a user could deploy a lab with. */
export interface Contender {
  readonly workloads: readonly Workload[]
  /** Rejects with the package to install when a program is missing. */
  check(): Promise<void>
  run(run: Run): Promise<Outcome[]>
}

export const contenders: Readonly<Record<ContenderName, Contender>> = {
  bootswarm: { workloads: ['replay', 'copy'], check: async () => {}, run: runBootswarm },
  nbdkit: {
    workloads: ['replay'],
    check: async () => needPrograms({ nbdkit: 'nbdkit' }),
    run: runNbdkit
  },
  libtorrent: {
    workloads: ['copy'],
    async check() {
      await runCommand(python, ['-c', 'import libtorrent']).catch((cause: unknown) => {
        throw new Error('the lab needs libtorrent: apt-get install python3-libtorrent', { cause })
      })
    },
    run: runLibtorrent
  },
  http: {
    workloads: ['copy'],
    check: async () => needPrograms({ nginx: 'nginx-light', curl: 'curl', zstd: 'zstd' }),
    run: runHttp
  }
}
