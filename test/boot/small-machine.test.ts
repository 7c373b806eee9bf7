import test from 'ava'
import { run } from './processes.ts'
import { Lab } from './lab/lab.ts'

// 1 GiB of memory, of which the agent and what it runs from take a part, and a system that writes more than
// the rest while its disk still streams: what serves the root must neither be ended nor wait for itself.

const minuteMs = 60_000

/** A package of 32 MiB, made on the spot and installed by apt, which flushes every file. */
const installPackage = [
  'mkdir -p /root/p/DEBIAN /root/p/opt/p',
  "printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: p <p@p>\\nDescription: p\\n' > /root/p/DEBIAN/control",
  'for n in 1 2 3 4 5 6 7 8; do head -c 4M /dev/urandom > /root/p/opt/p/$n; done',
  'dpkg-deb -Znone -b /root/p /root/p.deb > /dev/null',
  'apt-get install -y /root/p.deb > /root/apt.log 2>&1',
  'for n in 1 2 3 4 5 6 7 8; do cmp /root/p/opt/p/$n /opt/p/$n || exit 1; done'
].join(' && ')

/** Each thread of what carries the root has the mark of PR_SET_IO_FLUSHER (linux/sched.h: PF_MEMALLOC_NOIO, PF_LOCAL_THROTTLE). */
const isMarked = [
  'pid=$(cat /run/bootswarm/state/agent.pid) && [ -e /proc/$pid/task ] || exit 1',
  'for stat in /proc/$pid/task/*/stat',
  'do [ $(($(cut -d" " -f9 $stat) & 0x180000)) = $((0x180000)) ] || exit 1',
  'done'
].join('; ')

test('a machine of 1 GiB that writes more than its memory while it streams completes', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  const disk = await lab.emptyDisk('machine')
  const machine = await lab.startMachine({
    drive: `file=${disk},format=raw`,
    network: lab.network,
    memoryMiB: 1024
  })
  const { guest } = machine
  await lab.logIn(machine)
  t.false(machine.console.includes('the disk is complete'), 'it streamed to the end before')
  await guest.runCommand(`(${isMarked})`, minuteMs)
  await guest.runCommand('cp /run/bootswarm/state/agent.pid /root/agent.pid', minuteMs)
  const fsyncs =
    'for n in $(seq 200); do dd if=/dev/zero of=/root/small bs=4k count=8 conv=fsync; done'
  await guest.runCommand(`{ (${fsyncs}) > /root/fsync.log 2>&1 & }`, minuteMs)
  await guest.runCommand(
    'dd if=/dev/zero of=/root/large bs=1M count=1200 conv=fsync 2> /dev/null',
    10 * minuteMs
  )
  lab.note('1200 MiB written')
  await guest.runCommand(`(${installPackage})`, 10 * minuteMs)
  lab.note('a package installed')
  await guest.runCommand('rm /root/large && sync', 5 * minuteMs)
  await machine.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('handed over')
  // Nobody had to start it again.
  await guest.runCommand('cmp /run/bootswarm/state/agent.pid /root/agent.pid', minuteMs)
  t.notRegex(machine.console, /[Oo]ut of memory|oom-kill|blocked for more|I\/O error/)
  t.is(await guest.powerOff(2 * minuteMs), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))
})
