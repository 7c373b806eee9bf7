import { cp, mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { Guest } from './guest.ts'
import type { BuiltImage } from './image.ts'
import { run, sameAddresses, start } from './processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A file system with nbd-client, Node and as much of bootswarm as `attach` needs, for a guest that has none. */
export async function buildTools(directory: string): Promise<string> {
  const tree = join(directory, 'tools')
  await mkdir(join(tree, 'node_modules'), { recursive: true })
  await cp(process.execPath, join(tree, 'node'))
  await cp(join(root, 'src'), join(tree, 'src'), { recursive: true })
  await cp(join(root, 'package.json'), join(tree, 'package.json'))
  for (const name of ['commander', 'koffi', '@koromix/koffi-linux-x64']) {
    const from = join(root, 'node_modules', name)
    await cp(from, join(tree, 'node_modules', name), { recursive: true, dereference: true })
  }
  await copyNbdClient(join(tree, 'nbd-client'))
  const disk = join(directory, 'tools.img')
  await run('mke2fs', ['-q', '-t', 'ext4', '-d', tree, disk, '400m'])
  return disk
}

/** With its libraries: a minimal guest has not all of them. */
async function copyNbdClient(folder: string): Promise<void> {
  const client = '/usr/sbin/nbd-client'
  await mkdir(folder)
  const libraries = (await run('ldd', [client])).matchAll(/(\/\S+\.so\S*)/g)
  for (const path of [client, ...[...libraries].map(([, path = '']) => path)]) {
    await cp(path, join(folder, basename(path)), { dereference: true })
  }
}

export interface AttachGuestOptions {
  image: BuiltImage
  tools: string
  /** Where the agent listens on this host's loopback. */
  port: number
  consoleFile: string
}

/** A guest with a root disk of its own, the tools at /tools, and the agent at 10.0.2.2. */
export async function startAttachGuest(
  t: ExecutionContext,
  { image, tools, consoleFile }: AttachGuestOptions
): Promise<Guest> {
  const machine = ['-machine', 'q35,accel=tcg', '-cpu', 'max', '-smp', '1', '-m', '1024']
  const outside = ['-nic', 'user,model=virtio-net-pci', '-display', 'none', '-monitor', 'none']
  const kernel = ['-kernel', image.kernel, '-initrd', image.initrd, '-no-reboot']
  const commandLine = `root=/dev/vda ro console=ttyS0 panic=-1 bootswarm.console=root ${sameAddresses}`
  const disks = [
    ['-drive', `file=${image.disk},format=raw,if=virtio,snapshot=on`],
    ['-drive', `file=${tools},format=raw,if=virtio,readonly=on`]
  ].flat()
  const args = [...machine, ...outside, '-serial', 'stdio', ...kernel, '-append', commandLine]
  const guest = new Guest(start(t, 'QEMU', 'qemu-system-x86_64', [...args, ...disks], consoleFile))
  await guest.waitForText('debian login: ', 300_000)
  await guest.logIn()
  const minute = 60_000
  await guest.runCommand('mkdir /tools /work && mount -o ro /dev/vdb /tools', minute)
  await guest.runCommand(
    'dev=$(ls /sys/class/net | grep -v ^lo$ | head -1); ip link set $dev up; ip address replace 10.0.2.15/24 dev $dev',
    minute
  )
  await guest.runCommand('modprobe nbd nbds_max=2', minute)
  return guest
}
