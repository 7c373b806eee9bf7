import test from 'ava'
import { run } from './processes.ts'
import { Lab } from './lab/lab.ts'

// The system that streams has ideas of its own about its network. Whatever takes over the card, the root stays.
// (systemd-networkd does so in every other test: it is what the other images have.)

const minuteMs = 60_000

/** Reads what was not read before, or comes from the agent again. */
const readsOn = (folder: string): string =>
  `echo 3 > /proc/sys/vm/drop_caches && cat $(find ${folder} -type f) > /dev/null`

const asksByDhcp = String.raw`printf 'allow-hotplug eth0\niface eth0 inet dhcp\n' > /etc/network/interfaces.d/wired`

const changesAddress = [
  'ip address add 10.77.0.200/24 dev eth0',
  'ip -4 -o address show dev eth0 scope global | grep -v 10.77.0.200 > /root/old',
  'for old in $(grep -o "inet [0-9./]*" /root/old | cut -d" " -f2); do ip address del $old dev eth0; done',
  'ip address add 10.77.0.200/24 dev eth0 2> /dev/null; ip -4 -o address show scope global | grep 10.77.0.200'
].join('; ')

/**
 * What asks comes out, and what answers comes in; nobody else does. All of it at once: with the door closed first, the machine
 * would wait for ever for what the next rule needs of its disk.
 */
const rules = [
  'table inet lab {',
  'chain input { type filter hook input priority 0; policy drop;',
  'ct state established,related accept; iif lo accept; };',
  '}'
].join(' ')
const closesAllDoors = `echo '${rules}' > /root/rules && nft -f /root/rules`

test('a machine keeps its root while others take over its network card', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t, 'debian-12-dracut')
  await lab.seed.stop()
  // Slow enough for all of that to come while the disk streams.
  await lab.startSeed('--upload-rate', '500K')
  const disk = await lab.emptyDisk('machine')
  const { kernel, initrd } = lab.image
  const machine = await lab.startMachine({
    drive: `file=${disk},format=raw`,
    kernel: { file: kernel, initrd, arguments: `${lab.arguments()} net.ifnames=0` },
    network: lab.network
  })
  const { guest } = machine
  await lab.logIn(machine)

  await guest.runCommand(
    'nm-online -q -t 60 && nmcli -t -f TYPE,STATE device | grep -x ethernet:connected',
    2 * minuteMs
  )
  // It has asked for an address itself, and was given the one that the agent is known by.
  await guest.runCommand('nmcli -t -f DHCP4 device show eth0 | grep lease_time', minuteMs)
  await guest.runCommand('[ $(ip -4 -o address show scope global | wc -l) = 1 ]', minuteMs)
  await guest.runCommand(readsOn('/usr/lib/apt'), 5 * minuteMs)
  lab.note('NetworkManager has the card')

  await guest.runCommand('systemctl stop NetworkManager', minuteMs)
  await guest.runCommand(`${asksByDhcp} && ifup eth0`, 2 * minuteMs)
  await guest.runCommand('ip -4 -o address show; systemctl restart networking', 2 * minuteMs)
  await guest.runCommand(readsOn('/usr/share/perl'), 5 * minuteMs)
  lab.note('ifupdown has it')

  await guest.runCommand('pkill dhclient', minuteMs)
  await guest.runCommand(changesAddress, minuteMs)
  await guest.runCommand(readsOn('/usr/share/zoneinfo'), 5 * minuteMs)
  lab.note('another address')

  await guest.runCommand(closesAllDoors, 5 * minuteMs)
  await guest.runCommand(readsOn('/usr/share/locale'), 5 * minuteMs)
  lab.note('a firewall')
  t.false(machine.console.includes('the disk is complete'), 'it streamed to the end before')

  await lab.seed.stop()
  await lab.startSeed()
  await machine.shows('this machine uses its own disk from now on', 10 * minuteMs)
  lab.note('handed over')
  t.notRegex(machine.console, /I\/O error|EXT4-fs error|Remounting filesystem read-only/)
  t.is(await guest.powerOff(2 * minuteMs), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))
})
