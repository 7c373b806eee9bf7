import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Lab } from '../../test/boot/lab/lab.ts'
import type { Machine } from '../../test/boot/lab/machine.ts'
import { LabNetwork } from '../../test/boot/lab/network.ts'
import { run, sameAddresses, type Life } from '../../test/boot/processes.ts'
import { makeNbdInitrd } from './nbd-root.ts'

const program = fileURLToPath(new URL('../../bin/bootswarm', import.meta.url))
const nbdPort = 10809
const minuteMs = 60_000
/** USER_HZ, in which Linux counts. */
const ticksPerSecond = 100
const common = `ro console=ttyS0 bootswarm.console=root ${sameAddresses}`

export interface Boot {
  readonly contender: string
  /** From the machine's power-on to its kernel's first line: firmware, DHCP and what the ROM loads. */
  readonly beforeKernelSeconds: number
  /** From the kernel's first line on the serial console to the login prompt. */
  readonly loginSeconds: number
  readonly agent?: AgentFigures
}

/** All times but the totals are the guest's own. */
export interface AgentFigures {
  readonly fetchSeconds: number
  readonly unpackSeconds: number
  /** From the start of the agent's process to a disk that can be read. */
  readonly readySeconds: number
  /** From there to /dev/nbd0. */
  readonly attachSeconds: number
  /** From the start of the agent to a device that has the root. */
  readonly startSeconds: number
  readonly agentResidentBytes: number
  /** Of the guest's processors, from the agent's start to the prompt and the log-in after it. */
  readonly agentProcessorSeconds: number
  /** Payload of chunks that the seed had sent when the prompt came. */
  readonly bytesBeforeLogin: number
}

export interface Contender {
  readonly name: string
  boot(): Promise<Boot>
}

/** The same kernel and guest three times: its root on its own disk, on one NBD server, and in the swarm. */
export async function contenders(life: Life, lab: Lab, processors: number): Promise<Contender[]> {
  const { kernel, initrd, disk } = lab.image
  const nbdInitrd = join(lab.directory, 'nbd-initrd.img')
  await makeNbdInitrd(initrd, nbdInitrd, { host: LabNetwork.address, port: nbdPort })
  const network = lab.network
  const empty = await lab.emptyDisk('unused')
  return [
    {
      name: 'local disk',
      boot: async () => {
        const drive = `file=${disk},format=raw,snapshot=on`
        const args = `root=/dev/vda ${common}`
        const start = performance.now()
        const machine = await lab.startMachine({
          drive,
          network,
          processors,
          kernel: { file: kernel, initrd, arguments: args }
        })
        return toLogin('local disk', machine, start)
      }
    },
    {
      name: 'nbdkit',
      boot: async () => {
        const where = ['-f', '-i', LabNetwork.address, '-p', String(nbdPort), '--filter=cow']
        const server = network.start('nbdkit', 'nbdkit', [...where, 'file', disk])
        const start = performance.now()
        const machine = await lab.startMachine({
          drive: `file=${empty},format=raw`,
          network,
          processors,
          kernel: { file: kernel, initrd: nbdInitrd, arguments: `ip=dhcp ${common}` }
        })
        const boot = await toLogin('nbdkit', machine, start)
        server.kill()
        return boot
      }
    },
    { name: 'bootswarm', boot: () => bootSwarm(life, lab, processors) }
  ]
}

let disks = 0

async function bootSwarm(life: Life, lab: Lab, processors: number): Promise<Boot> {
  const disk = await lab.emptyDisk(`machine-${disks++}`)
  const before = await bytesSent(lab)
  const start = performance.now()
  const machine = await lab.startMachine({
    drive: `file=${disk},format=raw`,
    network: lab.network,
    processors
  })
  const boot = await untilLogin('bootswarm', machine, start)
  const bytesBeforeLogin = (await bytesSent(lab)) - before
  const { guest } = machine
  await guest.logIn()
  const resident =
    'sed -n "s/^VmRSS:[^0-9]*/resident /p" /proc/$(cat /run/bootswarm/state/agent.pid)/status'
  await guest.runCommand(resident, minuteMs)
  const times = 'cut -d" " -f14,15 /proc/$(cat /run/bootswarm/state/agent.pid)/stat'
  await guest.runCommand(`echo "agent ticks $(${times})"`, minuteMs)
  // The carrier writes each when it has heard of it.
  const moments = ['agent.pid', 'ready', 'said-attached'].map(
    name => `/run/bootswarm/state/${name}`
  )
  await guest.runCommand(`stat -c "%n %.3Y" ${moments.join(' ')}`, minuteMs)
  await machine.cutPower()
  const text = machine.console
  const at = (what: string): number => secondsOf(text, what)
  life.log(`  waits on the console: ${text.split('this machine waits').length - 1}`)
  return {
    ...boot,
    agent: {
      fetchSeconds: at('unpacking the agent') - at('fetching the agent'),
      unpackSeconds: at('starting the agent') - at('unpacking the agent'),
      readySeconds: momentOf(text, 'ready') - momentOf(text, 'agent.pid'),
      attachSeconds: momentOf(text, 'said-attached') - momentOf(text, 'ready'),
      startSeconds: at('the root is') - at('starting the agent'),
      agentResidentBytes: residentOf(text),
      agentProcessorSeconds: ticksOf(text) / ticksPerSecond,
      bytesBeforeLogin
    }
  }
}

async function toLogin(contender: string, machine: Machine, start: number): Promise<Boot> {
  const boot = await untilLogin(contender, machine, start)
  await machine.cutPower()
  return boot
}

async function untilLogin(contender: string, machine: Machine, start: number): Promise<Boot> {
  await machine.shows('Linux version')
  const kernelAt = performance.now()
  await machine.shows('login: ')
  const loginAt = performance.now()
  return {
    contender,
    beforeKernelSeconds: (kernelAt - start) / 1000,
    loginSeconds: (loginAt - kernelAt) / 1000
  }
}

async function bytesSent(lab: Lab): Promise<number> {
  const text = await run(program, ['status', '--store', lab.store, '--json'])
  return (JSON.parse(text) as { seed: { bytesSent: number } }).seed.bytesSent
}

function secondsOf(console: string, what: string): number {
  const [, seconds] = new RegExp(`\\[ *([0-9.]+)\\] bootswarm: ${what}`).exec(console) ?? []
  return Number(seconds)
}

function momentOf(console: string, name: string): number {
  const [, seconds] = new RegExp(`^/run/bootswarm/state/${name} ([0-9.]+)`, 'm').exec(console) ?? []
  return Number(seconds)
}

function ticksOf(console: string): number {
  const [, user, system] = /^agent ticks ([0-9]+) ([0-9]+)/m.exec(console) ?? []
  return Number(user) + Number(system)
}

function residentOf(console: string): number {
  const [, kib] = /^resident +([0-9]+) kB/m.exec(console) ?? []
  return Number(kib) * 1024
}
