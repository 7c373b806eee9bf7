import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Recipe } from './image.ts'
import { Lab } from './lab/lab.ts'
import { OwnDiskMachine, checkFileSystemAt, mib } from './own-disk-machine.ts'

// Images that are whole disks: a partition table, a boot loader, a root in a partition or in a volume of LVM. Their
// machine gets its root from the swarm by its own UUIDs and names, and afterwards starts from its disk alone.

const minuteMs = 60_000
const rootAt = 66 * mib

interface WholeDisk {
  readonly recipe: Recipe
  /** What the first stage finds. */
  readonly root: RegExp
  readonly fileSystemAt: number
  /** What else has to hold in the running machine. */
  readonly command?: string
}

async function keepsItsDisk(t: ExecutionContext, image: WholeDisk): Promise<void> {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t, image.recipe)
  const disk = await lab.emptyDisk('machine')
  const machine = await lab.startMachine({ drive: `file=${disk},format=raw`, network: lab.network })
  const { guest } = machine
  await machine.shows('bootswarm: the root is ')
  t.regex(machine.console, image.root)
  await lab.logIn(machine)
  // What fstab names by its UUID is the image's, not the half-streamed disk's.
  await guest.runCommand(
    'findmnt -no SOURCE /boot/efi | grep ^/dev/mapper/bootswarm-part',
    minuteMs
  )
  await guest.runCommand('! ls /dev/vda?', minuteMs)
  if (image.command !== undefined) await guest.runCommand(image.command, minuteMs)
  await guest.runCommand('seq 1 40000 > /root/written-while-streaming && sync', minuteMs)
  await machine.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('handed over')
  t.is(await guest.powerOff(3 * minuteMs), 0)

  const consoleFile = join(lab.directory, 'own-disk.txt')
  const alone = await OwnDiskMachine.start(t, {
    disk,
    firmware: 'BIOS',
    bus: 'virtio',
    consoleFile
  })
  await alone.waitForText('debian login: ', 8 * minuteMs)
  lab.note('login prompt by its own boot loader')
  t.is(await alone.pressPowerButton(3 * minuteMs), 0)
  await checkFileSystemAt(disk, image.fileSystemAt)
}

test('a machine whose image is a disk with partitions and GRUB keeps it', keepsItsDisk, {
  recipe: 'debian-12-gpt',
  root: /the root is \/dev\/mapper\/bootswarm-part3/,
  fileSystemAt: rootAt
})

test('a machine whose image has its root on LVM keeps it', keepsItsDisk, {
  recipe: 'debian-12-lvm',
  root: /the root is \/dev\/\S*debian12-root/,
  fileSystemAt: rootAt + mib,
  // Neither the disk nor the device below, and no word about duplicates.
  command: '[ $(pvs --noheadings -o pv_name 2>&1) = /dev/mapper/bootswarm-part3 ]'
})
