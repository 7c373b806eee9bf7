import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { run } from './processes.ts'
import { Lab } from './lab/lab.ts'
import type { Machine } from './lab/machine.ts'
import { serveNetboot } from './lab/netboot.ts'

// Machines that have each other, with and without a seed.

const minuteMs = 60_000

interface Figures {
  readonly bytesFromSeed: number
  readonly bytesFromPeers: number
}

/** What the agent of a machine said when its disk was complete. */
function figuresOf({ console }: Machine): Figures {
  const [line] = /\{"event":"complete".*\}/.exec(console) ?? ['{}']
  return JSON.parse(line) as Figures
}

const waits = 'this machine waits: nobody can deliver what it reads'
const goesOn = 'this machine goes on: what it waited for is here'

/** On a slow line a boot waits now and then: until what it waited for is here. */
async function untilItHasWhatItReads(machine: Machine): Promise<void> {
  const count = (text: string): number => machine.console.split(text).length
  for (const end = Date.now() + 5 * minuteMs; count(waits) > count(goesOn); await sleep(500)) {
    if (Date.now() > end) throw new Error('the machine does not get what it reads')
  }
}

test('the second of two machines gets most of its bytes from the first, its agent too', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  await serveNetboot(lab)
  const network = lab.network
  const disks = [await lab.emptyDisk('first'), await lab.emptyDisk('second')] as const
  const first = await lab.startMachine({ drive: `file=${disks[0]},format=raw`, network })
  await first.shows('bootswarm: the root is /dev/mapper/bootswarm')
  lab.note('the first shows its disk')
  const second = await lab.startMachine({ drive: `file=${disks[1]},format=raw`, network })
  await second.shows('bootswarm: fetching the agent from http://10.77.0.')
  await first.shows('debian login: ')
  lab.note('login prompt of the first')
  await second.shows('debian login: ', 15 * minuteMs)
  lab.note('login prompt of the second')
  // Machines serve what others boot at this port, the server at another.
  t.regex(second.console, /fetching the agent from http:\/\/10\.77\.0\.\d+:4913/)
  t.false(second.console.includes('no answer from'))
  t.false(second.console.includes('is not the agent that was asked for'))
  await first.shows('this machine uses its own disk from now on', 10 * minuteMs)
  await second.shows('this machine uses its own disk from now on', 10 * minuteMs)
  lab.note('both are complete')

  await second.guest.logIn()
  await second.guest.runCommand('cat /run/bootswarm/state/said-complete', minuteMs)
  const { bytesFromSeed, bytesFromPeers } = figuresOf(second)
  lab.note(`the second had ${bytesFromSeed} bytes from the seed, ${bytesFromPeers} from the first`)
  t.true(bytesFromPeers > bytesFromSeed)
  t.is(await second.guest.powerOff(2 * minuteMs), 0)
  await first.guest.logIn()
  t.is(await first.guest.powerOff(2 * minuteMs), 0)
  for (const disk of disks) await t.notThrowsAsync(run('e2fsck', ['-fn', disk]))
})

test('with its seed killed a machine goes on from another; with both gone it waits and says so', async t => {
  t.timeout(25 * minuteMs)
  const lab = await Lab.make(t)
  const network = lab.network
  const disks = [await lab.emptyDisk('peer'), await lab.emptyDisk('machine')] as const
  const peer = await lab.startMachine({ drive: `file=${disks[0]},format=raw`, network })
  await peer.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('the peer is complete')

  const machine = await lab.startMachine({ drive: `file=${disks[1]},format=raw`, network })
  await machine.shows('bootswarm: the root is /dev/mapper/bootswarm')
  // Slow enough for the seed to be killed in the middle.
  await machine.slowDown('4mbit')
  await lab.logIn(machine, { timeoutMs: 15 * minuteMs })
  await untilItHasWhatItReads(machine)
  await peer.unplug()
  lab.seed.kill()
  t.false(machine.console.includes('the disk is complete'), 'it streamed to the end before')
  lab.note('the seed is killed, and the peer out of reach')
  // What needs much of the disk that nobody can deliver now.
  const reading = machine.guest.runCommand('cat $(find /usr -type f) > /dev/null', 10 * minuteMs)
  // Said now, not earlier.
  await machine.guest.waitForText(waits, 5 * minuteMs)
  lab.note('the machine waits')

  await peer.plugIn()
  await machine.slowDown('1gbit')
  await machine.guest.waitForText(goesOn, 5 * minuteMs)
  lab.note('the machine goes on')
  await t.notThrowsAsync(reading)
  await machine.shows('this machine uses its own disk from now on', 15 * minuteMs)
  lab.note('complete without a seed')
  t.notRegex(machine.console, /I\/O error|EXT4-fs error|Remounting filesystem read-only/)
  t.is(await machine.guest.powerOff(2 * minuteMs), 0)
  await t.notThrowsAsync(run('e2fsck', ['-fn', disks[1]]))
})
