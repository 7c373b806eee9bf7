import { join } from 'node:path'
import test from 'ava'
import { run } from './processes.ts'
import { Lab, ownDiskArguments } from './lab/lab.ts'

// A machine whose first stage is dracut's and whose system leaves its network to NetworkManager.

const minuteMs = 60_000

test('a machine with an initramfs of dracut boots from the swarm and keeps its disk', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t, 'debian-12-dracut')
  await lab.seed.stop()
  // Slow enough for the network's manager to come while the disk streams.
  await lab.startSeed('--upload-rate', '1500K')
  const disk = await lab.emptyDisk('machine')
  const drive = `file=${disk},format=raw`
  const file = lab.image.kernel
  const initrd = join(lab.directory, 'initrd-dracut.img')
  const machine = await lab.startMachine({
    drive,
    kernel: { file, initrd, arguments: lab.arguments() },
    network: lab.network
  })
  const { guest } = machine
  await machine.shows('bootswarm: the root is /dev/mapper/bootswarm')
  lab.note('the agent shows its disk')
  await lab.logIn(machine)
  t.false(machine.console.includes('the disk is complete'), 'it streamed to the end before')
  // It has the card, and no other address than the one that the agent is known by.
  await guest.runCommand(
    'nm-online -q -t 60 && nmcli -t -f TYPE,STATE device | grep -x ethernet:connected',
    2 * minuteMs
  )
  await guest.runCommand('[ $(ip -4 -o address show scope global | wc -l) = 1 ]', minuteMs)
  await guest.runCommand('systemctl restart NetworkManager && nm-online -q -t 60', 2 * minuteMs)
  await guest.runCommand('seq 1 40000 > /root/written-while-streaming && sync', minuteMs)
  await lab.seed.stop()
  await lab.startSeed()
  await machine.shows('this machine uses its own disk from now on', 10 * minuteMs)
  lab.note('handed over')
  await guest.runCommand(
    "kill -9 $(grep -al '^@bootswarm' /proc/[0-9]*/cmdline | cut -d/ -f3)",
    minuteMs
  )
  await guest.runCommand('echo 3 > /proc/sys/vm/drop_caches && ls -lR /usr > /dev/null', minuteMs)
  t.notRegex(machine.console, /I\/O error|EXT4-fs error|Remounting filesystem read-only/)
  t.is(await guest.powerOff(2 * minuteMs), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))

  // Without any of our arguments the same initramfs boots as every other of dracut's.
  const told = ownDiskArguments('LABEL=debian-12-dracut')
  const alone = await lab.startMachine({ drive, kernel: { file, initrd, arguments: told } })
  await lab.logIn(alone, { as: 'login prompt without a network' })
  await alone.guest.runCommand('seq 1 40000 | cmp - /root/written-while-streaming', minuteMs)
  t.is(await alone.guest.powerOff(2 * minuteMs), 0)
})
