import type { Command } from 'commander'
import { register as registerArchive } from './netboot-archive.ts'
import { register as registerBuild } from './netboot-build.ts'
import { register as registerServe } from './netboot-serve.ts'

export function register(program: Command): void {
  const netboot = program
    .command('netboot')
    .description('Boot bare machines over the network: what they load, and who serves it to them')
  registerBuild(netboot)
  registerServe(netboot)
  registerArchive(netboot)
}
