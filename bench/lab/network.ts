import { run } from './commands.ts'
import { labName, removeNamespaces } from './leftovers.ts'
import { processTimes } from './processors.ts'
import { sum } from './statistics.ts'

// A network of its own for a lab: a namespace for the switch (a bridge without an address), one for
// the seed and one for each machine. Nothing in it can reach anything outside, nor be reached.

export interface NetworkOptions {
  readonly machines: number
  /** Rates as tc takes them, such as 40mbit; both directions. */
  readonly rate: string
  readonly seedRate: string
  /** The rate of the last machine, if it is a slow one. */
  readonly stragglerRate: string | undefined
  /** What may pass a port at once after it was idle, as tc takes it. */
  readonly burst?: string
  /** The machines are divided among so many switches, with the seed at the first … */
  readonly racks?: number
  /** … to which each of the others has a line of this rate; `rate` when left out. */
  readonly uplinkRate?: string | undefined
  /** How long a packet may wait in a port: the length of its queue. */
  readonly queueMs: number
}

export interface Host {
  readonly name: string
  readonly address: string
  readonly namespace: string
  /** What `--location` says; undefined where there is one rack. */
  readonly location?: string
}

export interface Traffic {
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentPackets: number
  readonly receivedPackets: number
}

export interface Network {
  readonly seed: Host
  readonly machines: readonly Host[]
  /** What has passed the lines between racks, both ways, with all headers. */
  uplinkBytes(): Promise<number>
  /** Ends every process in it, then removes it. */
  close(): void
}

const usualBurst = '128kb'
export const seedAddress = '10.77.0.1'

export async function buildNetwork(options: NetworkOptions): Promise<Network> {
  const { rate, seedRate, stragglerRate, racks = 1, uplinkRate = rate } = options
  const switchNamespace = labName('switch')
  const rackOf = (index: number): number => Math.floor((index * racks) / options.machines)
  const locationOf = (rack: number): Pick<Host, 'location'> =>
    racks === 1 ? {} : { location: `lab/rack-${rack + 1}` }
  const seed = {
    name: 'seed',
    address: seedAddress,
    namespace: labName('seed'),
    ...locationOf(0)
  }
  const machines = Array.from({ length: options.machines }, (_, index) => ({
    name: `m${index + 1}`,
    address: machineAddress(index),
    namespace: labName(`m${index + 1}`),
    ...locationOf(rackOf(index))
  }))
  const uplinks: string[] = []
  const close = (): void =>
    removeNamespaces([...[seed, ...machines].map(host => host.namespace), switchNamespace])
  try {
    await addNamespace(switchNamespace)
    for (let rack = 0; rack < racks; rack += 1) {
      await addSwitch(switchNamespace, bridgeOf(rack))
      if (rack === 0) continue
      await joinSwitches(switchNamespace, rack, uplinkRate, options)
      uplinks.push(`up${rack}`)
    }
    await plugIn(switchNamespace, bridgeOf(0), seed, seedRate, options)
    for (const [index, host] of machines.entries()) {
      const isLast = index === machines.length - 1
      const ownRate = (isLast ? stragglerRate : undefined) ?? rate
      await plugIn(switchNamespace, bridgeOf(rackOf(index)), host, ownRate, options)
    }
    const uplinkBytes = async (): Promise<number> =>
      sum(
        await Promise.all(
          uplinks.map(async card => {
            const { sentBytes, receivedBytes } = await trafficOf(
              { namespace: switchNamespace },
              card
            )
            return sentBytes + receivedBytes
          })
        )
      )
    return { seed, machines, uplinkBytes, close }
  } catch (error) {
    close()
    throw error
  }
}

/** What has passed a host's network card, counted in its namespace. */
export async function trafficOf(host: Pick<Host, 'namespace'>, card = 'eth0'): Promise<Traffic> {
  const show = ['-n', host.namespace, '-json', '-stats', 'link', 'show', card]
  const [link] = JSON.parse(await run('ip', show)) as [
    { stats64: Record<'rx' | 'tx', { bytes: number; packets: number }> }
  ]
  const { rx, tx } = link.stats64
  return {
    sentBytes: tx.bytes,
    receivedBytes: rx.bytes,
    sentPackets: tx.packets,
    receivedPackets: rx.packets
  }
}

/** What all that runs in the network has had of the processors until now, in seconds. */
export async function processorSecondsIn({ seed, machines }: Network): Promise<number> {
  const pids = await Promise.all(
    [seed, ...machines].map(({ namespace }) => run('ip', ['netns', 'pids', namespace]))
  )
  const seconds = pids
    .flatMap(text => text.split('\n').filter(pid => pid !== ''))
    .map(pid => processTimes(Number(pid))?.seconds ?? 0)
  return sum(seconds)
}

function bridgeOf(rack: number): string {
  return rack === 0 ? 'bridge' : `bridge${rack}`
}

async function addSwitch(namespace: string, name: string): Promise<void> {
  const bridge = ['type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0']
  await run('ip', ['-n', namespace, 'link', 'add', name, ...bridge])
  await run('ip', ['-n', namespace, 'link', 'set', name, 'up'])
}

/** A line between the first switch and that of the rack, of the same rate both ways. */
async function joinSwitches(
  namespace: string,
  rack: number,
  rate: string,
  { queueMs, burst = usualBurst }: Pick<NetworkOptions, 'queueMs' | 'burst'>
): Promise<void> {
  const [up, down] = [`up${rack}`, `down${rack}`]
  const ends = ['type', 'veth', 'peer', 'name', down]
  await run('ip', ['-n', namespace, 'link', 'add', up, ...ends])
  const shape = ['root', 'tbf', 'rate', rate, 'burst', burst, 'latency', `${queueMs}ms`]
  for (const [card, bridge] of [
    [up, bridgeOf(0)],
    [down, bridgeOf(rack)]
  ] as const) {
    await run('ip', ['-n', namespace, 'link', 'set', card, 'master', bridge, 'up'])
    await run('tc', ['-n', namespace, 'qdisc', 'add', 'dev', card, ...shape])
  }
}

async function plugIn(
  switchNamespace: string,
  bridge: string,
  { name, address, namespace }: Host,
  rate: string,
  { queueMs, burst = usualBurst }: Pick<NetworkOptions, 'queueMs' | 'burst'>
): Promise<void> {
  await addNamespace(namespace)
  const card = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]
  await run('ip', ['-n', switchNamespace, 'link', 'add', name, ...card])
  await run('ip', ['-n', switchNamespace, 'link', 'set', name, 'master', bridge, 'up'])
  await run('ip', ['-n', namespace, 'address', 'add', `${address}/16`, 'dev', 'eth0'])
  await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up'])
  const shape = ['root', 'tbf', 'rate', rate, 'burst', burst, 'latency', `${queueMs}ms`]
  await run('tc', ['-n', namespace, 'qdisc', 'add', 'dev', 'eth0', ...shape])
  await run('tc', ['-n', switchNamespace, 'qdisc', 'add', 'dev', name, ...shape])
}

async function addNamespace(name: string): Promise<void> {
  await run('ip', ['netns', 'add', name])
  await run('ip', ['-n', name, 'link', 'set', 'lo', 'up'])
  await set(name, 'net.ipv6.conf.all.disable_ipv6=1')
  // What Linux machines have unless told otherwise, whatever this host was told; on links with short
  // queues and short ways cubic behaves as reno, which every host allows.
  const control = 'net.ipv4.tcp_congestion_control'
  await set(name, `${control}=cubic`).catch(() => set(name, `${control}=reno`))
}

async function set(namespace: string, setting: string): Promise<void> {
  await run('ip', ['netns', 'exec', namespace, 'sysctl', '--quiet', '--write', setting])
}

function machineAddress(index: number): string {
  return `10.77.${1 + Math.floor(index / 200)}.${1 + (index % 200)}`
}

/** Bits a second of a rate as tc takes it: 40mbit, 1gbit, 500kbit. Throws for anything else. */
export function bitsPerSecond(rate: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|m|g)bit$/.exec(rate)
  const factor = { k: 1e3, m: 1e6, g: 1e9 }[match?.[2] ?? '']
  if (match === null || factor === undefined) {
    throw new Error(`the rate ${rate} is not one such as 500kbit, 40mbit or 1gbit`)
  }
  return Number(match[1]) * factor
}

/** Of a full packet of 1,514 bytes on the wire, 1,448 are TCP payload. */
export function payloadBytesPerSecond(rate: string): number {
  return (bitsPerSecond(rate) / 8) * (1448 / 1514)
}
