import type { Command } from 'commander'
import {
  buildAgentArchive,
  readBootInput,
  writeBootFolder,
  type BootFiles
} from '../netboot/index.ts'
import { formatBytes } from './formats.ts'
import { addArchiveOptions, archiveOptions, type ArchiveCommand } from './netboot-archive.ts'
import { printEvent, printLine, printNote } from './output.ts'

interface BuildCommand extends ArchiveCommand {
  readonly kernel: string
  readonly initrd: string
  readonly archive?: string
  readonly out: string
  readonly json?: boolean
}

export function register(netboot: Command): void {
  const command = netboot
    .command('build')
    .description('Make what machines load: a kernel, a first stage, and the agent archive')
    .requiredOption('--kernel <file>', "the image's own kernel, or another")
    .requiredOption('--initrd <file>', 'its initramfs, with the hook of bootstrap/ in it')
    .requiredOption('--out <dir>', 'where to put it all, for: bootswarm netboot serve')
    .option('--archive <file>', "an agent archive that 'netboot archive' has made")
  addArchiveOptions(command).option('--json', 'print one JSON object').action(run)
}

async function run({ kernel, initrd, archive, out, json, ...rest }: BuildCommand): Promise<void> {
  const options = archiveOptions(rest)
  const input = {
    folder: out,
    arch: options.arch,
    kernel: await readBootInput(kernel, 'Linux kernel'),
    initrd: await readBootInput(initrd, 'initramfs')
  }
  if (archive === undefined && json !== true) {
    printNote('bundling and compressing the agent; this takes a minute …')
  }
  const agent =
    archive === undefined
      ? (await buildAgentArchive(options)).bytes
      : await readBootInput(archive, 'agent archive')
  const files = await writeBootFolder({ ...input, archive: agent })
  if (json === true) printEvent({ event: 'built', folder: out, ...files })
  else sayFiles(out, files)
}

function sayFiles(out: string, { kernel, firstStage, archive }: BootFiles): void {
  for (const { name, bytes } of [kernel, firstStage, archive]) {
    printLine(`${out}/${name} ${formatBytes(bytes)}`)
  }
  const loaded = formatBytes(firstStage.bytes + archive.bytes)
  printNote(`first stage and agent archive together: ${loaded}`)
}
