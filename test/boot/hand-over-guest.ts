import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import type { BuiltImage } from './image.ts'
import { run, start, type RunningProcess } from './processes.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const MiB = 1024 * 1024
const imageBytes = 32 * MiB
/** Behind the image there has to be room for the disk metadata. */
const targetBytes = 96 * MiB
const bootMs = 120_000

/** What the guest's agents import; they have no swarm. */
const packages = ['koffi', 'multiformats', '@ipld/dag-cbor', 'it-pipe']

/** Copies packages, and what they need in turn. */
async function copyPackages(names: readonly string[], to: string): Promise<void> {
  const copied = new Set<string>()
  for (let left = [...names]; left.length > 0;) {
    const name = left.pop() ?? ''
    const from = join(project, 'node_modules', name)
    const manifest = await readFile(join(from, 'package.json'), 'utf8').catch(() => undefined)
    // A binary for another architecture is not installed.
    if (copied.has(name) || manifest === undefined) continue
    copied.add(name)
    await cp(from, join(to, name), { recursive: true, dereference: true })
    const needs = JSON.parse(manifest) as Record<string, Record<string, string> | undefined>
    left = [...left, ...Object.keys({ ...needs.dependencies, ...needs.optionalDependencies })]
  }
}

/** The disk that is attached as vdb: Node, the project, the image, and the script to run. */
export async function makeToolsDisk(directory: string): Promise<string> {
  const root = join(directory, 'tools')
  await mkdir(join(root, 'project'), { recursive: true })
  for (const folder of ['src', 'bootstrap', 'test/boot/hand-over', 'package.json']) {
    await cp(join(project, folder), join(root, 'project', folder), { recursive: true })
  }
  await copyPackages(packages, join(root, 'project/node_modules'))
  await cp(process.execPath, join(root, 'node'))
  await cp(join(project, 'test/boot/hand-over/guest.sh'), join(root, 'guest.sh'))
  await mkdir(join(root, 'nothing'))
  await writeFile(join(root, 'nothing/hello'), 'an image\n'.repeat(100_000))
  const image = join(root, 'image')
  // Nothing is initialized later: a file system that nobody uses has to keep quiet.
  const eager = ['-E', 'lazy_itable_init=0,lazy_journal_init=0']
  const content = ['-d', join(root, 'nothing'), image, `${imageBytes / MiB}M`]
  await run('mke2fs', ['-q', '-t', 'ext4', ...eager, ...content])
  const disk = join(directory, 'tools.img')
  await run('mke2fs', ['-q', '-t', 'ext4', '-d', root, disk, '400M'])
  await rm(root, { recursive: true })
  return disk
}

export async function makeTarget(directory: string, name: string): Promise<string> {
  const path = join(directory, `${name}.img`)
  await writeFile(path, '')
  await truncate(path, targetBytes)
  return path
}

export interface HandOverGuest {
  readonly image: BuiltImage
  readonly tools: string
  /** vdc, vdd and so on. */
  readonly targets: readonly string[]
  /** As guest.sh wants them: `vdc:helper`. */
  readonly scenarios: readonly string[]
  readonly consoleFile: string
}

/** Boots a guest that runs its scenarios; the root and the tools stay as they are. */
export async function startHandOverGuest(
  t: ExecutionContext,
  { image, tools, targets, scenarios, consoleFile }: HandOverGuest
): Promise<RunningProcess> {
  // Nothing newer: with what QEMU emulates of AVX and protection keys (-cpu max) Node 24 was seen to die.
  const machine = ['-machine', 'q35,accel=tcg', '-cpu', 'Nehalem', '-smp', '2', '-m', '1536']
  const outside = ['-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'stdio']
  const kernel = ['-kernel', image.kernel, '-initrd', image.initrd, '-no-reboot']
  const commandLine = 'root=/dev/vda ro console=ttyS0 panic=-1 quiet init=/bin/bash'
  const scratch = [image.disk, tools].flatMap(file => drive(file, 'snapshot=on'))
  const disks = targets.flatMap(file => drive(file, 'cache=writeback'))
  const args = [...machine, ...outside, ...kernel, '-append', commandLine, ...scratch, ...disks]
  const guest = start(t, 'QEMU', 'qemu-system-x86_64', args, consoleFile)
  await guest.waitFor('a shell', bootMs, output => (/# $/.test(output) ? true : undefined))
  guest.type(`mount /dev/vdb /mnt && exec /mnt/guest.sh ${scenarios.join(' ')}\n`)
  return guest
}

function drive(file: string, how: string): string[] {
  return ['-drive', `file=${file},format=raw,if=virtio,${how}`]
}

/** The files that are listed on a target disk, read without any of our code, and how many there are. */
export async function checkTarget(target: string, directory: string): Promise<number> {
  const copy = join(directory, 'copy.img')
  const found = join(directory, 'found')
  await rm(found, { recursive: true, force: true })
  await mkdir(found)
  await cp(target, copy)
  await truncate(copy, imageBytes)
  await run('e2fsck', ['-fn', copy])
  await run('debugfs', ['-R', `rdump / ${found}`, copy])
  await run('sh', ['-c', `cd ${found} && sha256sum --quiet -c sums`])
  return (await readFile(join(found, 'sums'), 'utf8')).trimEnd().split('\n').length
}
