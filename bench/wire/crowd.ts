import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { FromPeer, ServerAddress, ToPeer, Usage } from './messages.ts'
import { allocator, ask, nodeOptions, stop } from './pair.ts'

export interface CrowdResult {
  readonly agents: number
  /** From the first dial to the last certificate, all dials begun in the same second. */
  readonly connectSeconds: number
  readonly seedCpuSecondsConnecting: number
  /** While nobody asks for anything, then while every agent keeps one request open. */
  readonly idle: CrowdLook
  readonly busy: CrowdLook & { readonly megabytesPerSecond: number }
}

export interface CrowdLook {
  readonly residentBytes: number
  readonly anonymousBytes: number
  readonly loopDelayMsP99: number
  readonly cpuShare: number
}

/** One seed, and many agents in a few processes: real connections, certificates and frames. */
export async function measureCrowd(
  agents: number,
  processes: number,
  seconds: number
): Promise<CrowdResult> {
  const seed = start()
  const crowds = Array.from({ length: processes }, start)
  try {
    const task = { transport: 'tls', frames: 'zstd', depth: 1, seconds } as const
    const { address } = await ask(seed, { say: 'serve', task }, 'serving')
    const each = Math.ceil(agents / processes)
    await together(crowds, { say: 'gather', count: each, address }, 'gathered')
    const before = await look(seed)
    const begin = performance.now()
    await together(crowds, { say: 'connect' }, 'connected')
    const connectSeconds = (performance.now() - begin) / 1000
    const connected = await look(seed)
    const idle = await watch(seed, seconds)
    await together(crowds, { say: 'fetchAll' }, 'fetching')
    const busy = await watch(seed, seconds)
    return {
      agents: each * processes,
      connectSeconds,
      seedCpuSecondsConnecting: connected.cpuSeconds - before.cpuSeconds,
      idle: idle.look,
      busy: { ...busy.look, megabytesPerSecond: busy.frameBytes / 1e6 / seconds }
    }
  } finally {
    await Promise.all([seed, ...crowds].map(stop))
  }
}

async function watch(
  seed: ChildProcess,
  seconds: number
): Promise<{ look: CrowdLook; frameBytes: number }> {
  // The first look begins a new measurement of the loop's delay.
  const first = await look(seed)
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const last = await look(seed)
  return {
    frameBytes: last.frameBytes - first.frameBytes,
    look: {
      residentBytes: last.residentBytes,
      anonymousBytes: last.anonymousBytes,
      loopDelayMsP99: last.loopDelayMsP99,
      cpuShare: ((last.cpuSeconds - first.cpuSeconds) / (last.nowMs - first.nowMs)) * 1000
    }
  }
}

async function look(peer: ChildProcess): Promise<Usage> {
  return (await ask(peer, { say: 'usage' }, 'usage')).usage
}

async function together(
  crowds: readonly ChildProcess[],
  message: ToPeer,
  expected: FromPeer['say']
): Promise<void> {
  await Promise.all(crowds.map(crowd => ask(crowd, message, expected)))
}

function start(): ChildProcess {
  const child = fork(join(import.meta.dirname, 'peer.ts'), {
    execArgv: nodeOptions,
    env: { ...process.env, ...allocator },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  // Every crowd waits for the last of a thousand: more listeners than usual are no leak here.
  child.setMaxListeners(0)
  void once(child, 'exit')
  return child
}

export type { ServerAddress }
