import { stat } from 'node:fs/promises'
import test from 'ava'
import { run } from './processes.ts'
import { Lab, ownDiskArguments } from './lab/lab.ts'
import type { Machine } from './lab/machine.ts'
import type { LabNetwork } from './lab/network.ts'

// A classroom: whatever a machine writes is gone with its next start, while its disk fills and is handed over below.

const minuteMs = 60_000

test('a machine whose writes are discarded shows the image at each start, and its disk is the image', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  const disk = await lab.emptyDisk('machine')
  const { size } = await stat(lab.image.disk)
  const { kernel, initrd } = lab.image
  const start = (told: string, network?: LabNetwork): Promise<Machine> =>
    lab.startMachine({
      drive: `file=${disk},format=raw`,
      kernel: { file: kernel, initrd, arguments: told },
      network
    })
  const discard = { 'bootswarm.writes': 'discard' }
  const isTheImage = (): Promise<unknown> =>
    t.notThrowsAsync(run('cmp', ['--bytes', String(size), lab.image.disk, disk]))

  const first = await start(lab.arguments(discard), lab.network)
  await first.shows('what this machine writes goes to memory, ')
  await lab.logIn(first)
  await first.guest.runCommand('seq 1 40000 > /root/written && sync', minuteMs)
  await first.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('handed over')
  await first.guest.runCommand('[ $(blockdev --getro /dev/mapper/bootswarm-image) = 1 ]', minuteMs)
  // The agent and all that carried the root may go.
  await first.guest.runCommand(
    "kill -9 $(grep -al '^@bootswarm' /proc/[0-9]*/cmdline | cut -d/ -f3)",
    minuteMs
  )
  await first.guest.runCommand('! dmsetup table bootswarm-image | grep -q " 43:"', minuteMs)
  await first.guest.runCommand(
    'echo 3 > /proc/sys/vm/drop_caches && ls -lR /usr > /dev/null',
    minuteMs
  )
  await first.guest.runCommand('seq 1 40000 | cmp - /root/written && seq 9 > /root/alone', minuteMs)
  t.is(await first.guest.powerOff(2 * minuteMs), 0)
  lab.note('off')
  await isTheImage()

  // From its own disk, without a network: a boot loader tells the kernel nothing of bootswarm.
  const alone = await start(ownDiskArguments())
  await alone.shows('what this machine writes is discarded: /dev/vda stays as it is')
  await lab.logIn(alone, { as: 'login prompt without a network' })
  await alone.guest.runCommand('! ls /root/written /root/alone', minuteMs)
  await alone.guest.runCommand('seq 1 40000 > /root/written && sync', minuteMs)
  t.is(await alone.guest.powerOff(2 * minuteMs), 0)
  await isTheImage()

  // Little room this time, to see what a machine says that has written too much.
  const little = lab.arguments({ ...discard, 'bootswarm.overlay': '192M' })
  const second = await start(little, lab.network)
  await second.shows('what this machine writes goes to memory, 192 MiB at most')
  await lab.logIn(second)
  await second.guest.runCommand('! dmsetup table bootswarm-image | grep -q " 43:"', minuteMs)
  await second.guest.runCommand('! ls /root/written /root/alone', minuteMs)
  await second.guest.runCommand(
    'dd if=/dev/zero of=/root/large bs=1M count=160 conv=fsync 2> /dev/null',
    5 * minuteMs
  )
  await second.shows('four fifths of the memory for what this machine writes are used', minuteMs)
  second.guest.type('dd if=/dev/zero of=/root/larger bs=1M count=200 conv=fsync\n')
  const full = 'the memory for what this machine writes is full: it must be started again'
  await second.shows(full, 5 * minuteMs)
  await second.cutPower()
  await isTheImage()
})
