import { stat } from 'node:fs/promises'
import test from 'ava'
import { run } from './processes.ts'
import { Lab } from './lab/lab.ts'
import type { Machine } from './lab/machine.ts'

// A classroom: whatever a machine writes is gone with its next start, while its disk fills and is handed over below.

const minuteMs = 60_000

test('a machine whose writes are discarded shows the image at each start, and its disk is the image', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  const disk = await lab.emptyDisk('machine')
  const { size } = await stat(lab.image.disk)
  const start = async (changed: Readonly<Record<string, string>> = {}): Promise<Machine> => {
    const { kernel: file, initrd } = lab.image
    const told = lab.arguments({ 'bootswarm.writes': 'discard', ...changed })
    const kernel = { file, initrd, arguments: told }
    const drive = `file=${disk},format=raw`
    return lab.startMachine({ drive, network: lab.network, kernel })
  }
  const isTheImage = (): Promise<unknown> =>
    t.notThrowsAsync(run('cmp', ['--bytes', String(size), lab.image.disk, disk]))

  const first = await start()
  await first.shows('what this machine writes goes to memory, ')
  await first.shows('debian login: ')
  lab.note('login prompt')
  await first.guest.logIn()
  await first.guest.runCommand('seq 1 40000 > /root/written && sync', minuteMs)
  await first.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('handed over')
  await first.guest.runCommand('dmsetup status bootswarm', minuteMs)
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

  // Little room this time, to see what a machine says that has written too much.
  const second = await start({ 'bootswarm.overlay': '192M' })
  await second.shows('what this machine writes goes to memory, 192 MiB at most')
  await second.shows('debian login: ')
  lab.note('login prompt')
  await second.guest.logIn()
  await second.guest.runCommand('! dmsetup table bootswarm-image | grep -q " 43:"', minuteMs)
  await second.guest.runCommand('! ls /root/written /root/alone', minuteMs)
  await second.guest.runCommand(
    'dd if=/dev/zero of=/root/large bs=1M count=145 conv=fsync 2> /dev/null',
    5 * minuteMs
  )
  await second.shows('four fifths of the memory for what this machine writes are used', minuteMs)
  second.guest.type('dd if=/dev/zero of=/root/larger bs=1M count=200 conv=fsync\n')
  const full = 'the memory for what this machine writes is full: it must be started again'
  await second.shows(full, 5 * minuteMs)
  await second.cutPower()
  await isTheImage()
})
