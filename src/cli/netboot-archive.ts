import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { replaceFile } from '../image/index.ts'
import { architectures, buildAgentArchive } from '../netboot/index.ts'
import { choiceOf, wholeNumberOf } from './choices.ts'
import { formatBytes } from './formats.ts'
import { printEvent, printLine, printNote } from './output.ts'

export interface ArchiveCommand {
  readonly arch: string
  readonly packages?: string
  readonly level?: string
}

interface Options extends ArchiveCommand {
  readonly out: string
  readonly json?: boolean
}

const levelMax = 22

export function register(netboot: Command): void {
  addArchiveOptions(
    netboot
      .command('archive')
      .description('Build the agent as one file, for machines that have nothing installed')
      .requiredOption('--out <path>', 'the file, or a folder that it goes to under its own name')
  )
    .option('--json', 'print one JSON object')
    .action(async ({ out, json, ...rest }: Options) => {
      const options = archiveOptions(rest)
      if (json !== true) printNote('bundling and compressing the agent; this takes a minute …')
      const { name, sha256, bytes, unpackedBytes } = await buildAgentArchive(options)
      const isFolder = await stat(out).then(
        found => found.isDirectory(),
        () => false
      )
      const path = isFolder ? join(out, name) : out
      await replaceFile(path, bytes, 0o644)
      const facts = { path, name, sha256, bytes: bytes.length, unpackedBytes }
      if (json === true) printEvent({ event: 'archive', ...facts })
      else {
        printNote(`${path}: ${formatBytes(bytes.length)}, unpacked ${formatBytes(unpackedBytes)}`)
        printLine(sha256)
      }
    })
}

export function addArchiveOptions(command: Command): Command {
  return command
    .option('--arch <x64|arm64>', 'of the machines', 'x64')
    .option('--packages <dir>', 'a node_modules with the runtime of another architecture')
    .option('--level <n>', 'how hard to compress, 1 to 22 (default: 19)')
}

/** ERR_USAGE naming the option. */
export function archiveOptions({ arch, packages, level }: ArchiveCommand) {
  return {
    arch: choiceOf('--arch', arch, architectures),
    packages,
    level: level === undefined ? undefined : wholeNumberOf('--level', level, 1, levelMax)
  }
}
