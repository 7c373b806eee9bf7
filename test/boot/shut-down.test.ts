import test from 'ava'
import { waitForEvent } from './bootswarm.ts'
import { run } from './processes.ts'
import { Lab } from './lab/lab.ts'

// A machine that is told to stop while its disk still streams: its root, what it needs to stop, and what
// it has written last are all on the other side of the network.

const minuteMs = 60_000

test('a machine that still streams reboots and shuts down in order', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  await lab.seed.stop()
  // Slow enough not to be done by then.
  await lab.startSeed('--upload-rate', '700K')
  const disk = await lab.emptyDisk('machine')
  const drive = `file=${disk},format=raw`

  const first = await lab.startMachine({ drive, network: lab.network })
  await lab.logIn(first)
  await first.guest.runCommand('seq 1 40000 > /root/written', minuteMs)
  // QEMU ends where a machine would start again.
  first.guest.type('reboot\n')
  t.is(await first.ended(4 * minuteMs), 0)
  lab.note('reboots')
  t.false(first.console.includes('the disk is complete'), 'it streamed to the end before')
  t.notRegex(first.console, trouble)

  const second = await lab.startMachine({ drive, network: lab.network })
  await lab.logIn(second)
  await second.guest.runCommand('seq 1 40000 | cmp - /root/written', minuteMs)
  // A file system that was not taken down in order is mended when it is mounted.
  await second.guest.runCommand("! dmesg | grep -i 'recovery\\|orphan'", minuteMs)
  t.is(await second.guest.powerOff(4 * minuteMs), 0)
  lab.note('off')
  t.false(second.console.includes('the disk is complete'), 'it streamed to the end before')
  t.notRegex(second.console, trouble)

  // The whole file system can be looked at when the rest of it has come.
  await lab.seed.stop()
  await lab.startSeed()
  const agent = await lab.startAgent(disk)
  await waitForEvent(agent, 'complete', 10 * minuteMs)
  t.is(await agent.stop(), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))
  t.false((await run('dumpe2fs', ['-h', disk])).includes('needs_recovery'))
})

/** What a console shows of a shutdown that went wrong. */
const trouble =
  /Failed (un)?mounting|Failed to (unmount|remount)|Timed out|timed out|I\/O error|hung|blocked for more/
