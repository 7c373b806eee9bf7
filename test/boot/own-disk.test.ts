import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { askTicket, importImage, startAgent, startSeed, waitForEvent } from './bootswarm.ts'
import { differingBlocks } from './disks.ts'
import { buildImage } from './image.ts'
import {
  OwnDiskMachine,
  type OwnDiskOptions,
  checkFileSystemAt,
  mib,
  readFileAt
} from './own-disk-machine.ts'

const minuteMs = 60_000
const keptForReaders = fileURLToPath(new URL('../../build/boot/', import.meta.url))
const consoleTailChars = 3000

// As images/gpt/disk.sh lays a disk out; LVM's own data take the first MiB of its partition.
const rootAt = 66 * mib
const rootOnLvmAt = rootAt + mib

async function makeDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'bootswarm-own-disk-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

type Machine = Pick<OwnDiskOptions, 'disk' | 'firmware' | 'bus'>

/** Boots a disk to its login prompt, shuts the machine down, and looks at what it left. */
async function bootOwnDisk(
  t: ExecutionContext,
  { disk, firmware, bus }: Machine,
  fileSystemAt: number
): Promise<{ machineId: string; hostKey: string }> {
  const directory = await makeDirectory(t)
  const consoleFile = join(directory, 'console.txt')
  try {
    const machine = await OwnDiskMachine.start(t, { disk, firmware, bus, consoleFile })
    await machine.waitForText('debian login: ', 8 * minuteMs)
    t.is(await machine.pressPowerButton(3 * minuteMs), 0)
    // What fstab names by its UUID was there; the log-in prompt may have wiped the first of these lines away.
    t.regex(machine.console, /(Mounted|[Uu]nmount(ed|ing)) \S*boot[-/]efi/)
  } catch (error) {
    await mkdir(keptForReaders, { recursive: true })
    const kept = join(keptForReaders, `own-disk-${process.pid}-${firmware}.txt`)
    await copyFile(consoleFile, kept)
    const text = await readFile(kept, 'utf8')
    t.log(`The console is in ${kept} and ends with:\n${text.slice(-consoleTailChars)}`)
    throw error
  }
  await checkFileSystemAt(disk, fileSystemAt)
  const machineId = (await readFileAt(disk, fileSystemAt, '/etc/machine-id')).trim()
  const hostKey = await readFileAt(disk, fileSystemAt, '/etc/ssh/ssh_host_ed25519_key.pub')
  t.regex(machineId, /^[0-9a-f]{32}$/)
  t.regex(hostKey, /^ssh-ed25519 /)
  return { machineId, hostKey }
}

test('a disk that an agent completed boots by itself, from BIOS and from UEFI', async t => {
  t.timeout(20 * minuteMs)
  const directory = await makeDirectory(t)
  const image = await buildImage('debian-12-gpt', directory)
  t.is(await readFileAt(image.disk, rootAt, '/etc/machine-id'), '')
  t.is(await readFileAt(image.disk, rootAt, '/etc/ssh/ssh_host_ed25519_key'), '')

  const store = join(directory, 'store')
  await importImage(store, image.disk, 'debian-12-gpt')
  const seed = await startSeed(t, store)
  const disk = join(directory, 'machine.img')
  const agent = startAgent(t, {
    name: 'machine',
    ticket: await askTicket(store),
    image: 'debian-12-gpt',
    disk,
    nbdSocket: join(directory, 'machine.sock')
  })
  await waitForEvent(agent, 'complete', 5 * minuteMs)
  t.is(await agent.stop(), 0)
  t.is(await seed.stop(), 0)
  t.deepEqual(await differingBlocks(disk, image.disk), [])

  const first = await bootOwnDisk(t, { disk, firmware: 'BIOS', bus: 'AHCI' }, rootAt)
  const second = await bootOwnDisk(t, { disk, firmware: 'UEFI', bus: 'AHCI' }, rootAt)
  t.deepEqual(second, first)
})

test('a disk with its root on LVM boots by itself', async t => {
  t.timeout(12 * minuteMs)
  const image = await buildImage('debian-12-lvm', await makeDirectory(t))
  t.is(await readFileAt(image.disk, rootOnLvmAt, '/etc/machine-id'), '')
  await bootOwnDisk(t, { disk: image.disk, firmware: 'BIOS', bus: 'virtio' }, rootOnLvmAt)
})
