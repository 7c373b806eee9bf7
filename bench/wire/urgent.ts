import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { buildNetwork } from '../lab/network.ts'
import { LabProcess } from '../lab/processes.ts'
import { percentile, rounded } from '../lab/statistics.ts'

// An urgent chunk on a line of 40 Mbit/s, first while nothing else is asked for, then while eight peers
// send background, each machine in a namespace of its own. Root is needed. docs/bench-wire.md.

const peers = 8
const reads = Number(process.argv[2] ?? 200)
const chunks = 40 * reads
const patience = AbortSignal.timeout(20 * 60_000)

// No burst worth a chunk: it would let an idle line carry one in no time.
const options = { rate: '40mbit', seedRate: '40mbit', stragglerRate: undefined, burst: '20kb' }
const network = await buildNetwork({ ...options, machines: peers, queueMs: 50 })
const processes: LabProcess[] = []
try {
  const node = process.execPath
  const lab = randomBytes(32).toString('hex')
  const servers = network.machines.map(host => {
    const program = join(import.meta.dirname, 'urgent-peer.ts')
    return new LabProcess(host, host.name, [node, program, lab, String(chunks), host.address])
  })
  processes.push(...servers)
  const serving = await Promise.all(servers.map(server => server.until('serving', patience)))
  const addresses = serving.map(({ peerId, address }) => ({ peerId, addresses: [address] }))
  const program = join(import.meta.dirname, 'urgent-reader.ts')
  const task = JSON.stringify({ lab, chunks, reads, peers: addresses })
  const reader = new LabProcess(network.seed, 'reader', [node, program, task])
  processes.push(reader)
  const { idleMs, busyMs, backgroundMbit } = await reader.until('measured', patience)
  const idle = summary(idleMs as number[])
  const busy = summary(busyMs as number[])
  const ratios = { p50: rounded(busy.p50 / idle.p50, 2), p99: rounded(busy.p99 / idle.p99, 2) }
  console.log(JSON.stringify({ reads, idle, busy, ratios, backgroundMbit }))
} finally {
  await Promise.all(processes.map(one => one.kill()))
  network.close()
}

function summary(times: readonly number[]) {
  const at = (share: number): number => rounded(percentile(times, share), 1)
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}
