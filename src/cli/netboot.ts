import type { Command } from 'commander'
import { register as registerArchive } from './netboot-archive.ts'

export function register(program: Command): void {
  const netboot = program
    .command('netboot')
    .description('Boot bare machines over the network: what they load, and who serves it to them')
  registerArchive(netboot)
}
