import test from 'ava'
import { run } from './processes.ts'
import { Lab, ownDiskArguments } from './lab/lab.ts'
import { refuseAll } from './lab/refusals.ts'

// Power on a bare machine, get a login prompt, keep the disk: the whole way, with nothing on the machine
// but the ROM of its network card.

const minuteMs = 60_000
const isWhole = process.env.BOOTSWARM_BOOT === 'all'

test('a bare machine boots from the network, goes on after a power cut, keeps its disk, and needs nobody afterwards', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  await lab.seed.stop()
  // Slow enough for the power to be cut in the middle.
  await lab.startSeed('--upload-rate', '700K')
  const mac = '52:54:00:00:00:03'
  const file = await lab.emptyDisk('machine')
  const cached = await lab.cachedDisk(file)
  const begun = await lab.startMachine({ drive: cached.drive, network: lab.network, mac })
  await begun.shows('bootswarm: fetching the agent')
  lab.note('first stage')
  await begun.shows('bootswarm: the root is /dev/mapper/bootswarm')
  lab.note('the agent shows its disk')
  await lab.logIn(begun)
  const write = 'seq 1 40000 > /root/synced && sync /root/synced && seq 1 40000 > /root/not-synced'
  await begun.guest.runCommand(write, 2 * minuteMs)
  t.false(begun.console.includes('the disk is complete'), 'it streamed to the end before')
  await Promise.all([begun.cutPower(), cached.cutPower()])
  lab.note('the power is gone')

  await lab.seed.stop()
  await lab.startSeed()
  const disk = await lab.cachedDisk(file)
  const machine = await lab.startMachine({ drive: disk.drive, network: lab.network, mac })
  const { guest } = machine
  await lab.logIn(machine)
  await guest.runCommand('seq 1 40000 | cmp - /root/synced', minuteMs)
  await guest.runCommand('seq 1 40000 > /root/written-while-streaming && sync', minuteMs)
  await machine.shows('the disk is complete and verified', 10 * minuteMs)
  lab.note('complete')
  await machine.shows('this machine uses its own disk from now on', 2 * minuteMs)
  lab.note('handed over')

  // The agent and all that carried the root may go, and the network with it.
  await guest.runCommand(
    "kill -9 $(grep -al '^@bootswarm' /proc/[0-9]*/cmdline | cut -d/ -f3)",
    minuteMs
  )
  await guest.runCommand('! dmsetup table bootswarm | grep -q " 43:"', minuteMs)
  await guest.runCommand(
    'echo 3 > /proc/sys/vm/drop_caches && seq 1 9 > /root/alone && sync',
    minuteMs
  )
  await guest.runCommand('ls -lR /usr > /dev/null', minuteMs)
  t.is(await guest.powerOff(2 * minuteMs), 0)
  await disk.cutPower()
  lab.note('off')

  // Its own kernel is loaded by QEMU here; that a boot loader does it is for the image with GRUB to show.
  const { kernel, initrd } = lab.image
  const again = await lab.startMachine({
    drive: `file=${file},format=raw`,
    kernel: { file: kernel, initrd, arguments: ownDiskArguments() }
  })
  await lab.logIn(again, { as: 'login prompt without a network' })
  for (const path of ['/root/synced', '/root/written-while-streaming']) {
    await again.guest.runCommand(`seq 1 40000 | cmp - ${path}`, minuteMs)
  }
  await again.guest.runCommand('seq 1 9 | cmp - /root/alone', minuteMs)
  t.is(await again.guest.powerOff(2 * minuteMs), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', file]))
})

// Minutes on two cores without KVM: too long for every change.
if (isWhole) test('each thing that can be wrong is said, with what to do', refuseAll)
