import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { FromPeer, Task, ToPeer, Usage } from './messages.ts'

/** What a pair of processes did between two looks at them, one side's figures each. */
export interface Measured {
  readonly seconds: number
  readonly sender: Side
  readonly receiver: Side
}

export interface Side {
  readonly cpuSeconds: number
  readonly frameBytes: number
  readonly plainBytes: number
  readonly residentBytesMax: number
  readonly anonymousBytesMax: number
}

// As bin/bootswarm starts Node: its heap and its allocator are part of what a byte costs.
export const nodeOptions = ['--max-semi-space-size=1', '--heap-growing-percent=50']
export const allocator = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072'
}
const warmUpMs = 1_000
const lookMs = 100

export interface PairOptions {
  readonly senderOptions?: readonly string[]
  readonly receiverOptions?: readonly string[]
  /** The one core that both processes have. */
  readonly core?: number
}

/** Both processes are new: what one task leaves behind, the next does not meet. */
export async function measurePair(task: Task, options: PairOptions = {}): Promise<Measured> {
  const sender = start(options.senderOptions, options.core)
  const receiver = start(options.receiverOptions, options.core)
  try {
    const { address } = await ask(sender, { say: 'serve', task }, 'serving')
    await ask(receiver, { say: 'fetch', task, address }, 'fetching')
    await wait(warmUpMs)
    const looks: [Usage, Usage][] = [await look(sender, receiver)]
    const end = performance.now() + task.seconds * 1000
    while (performance.now() < end) {
      await wait(lookMs)
      looks.push(await look(sender, receiver))
    }
    const [first, last] = [looks[0], looks.at(-1)]
    if (first === undefined || last === undefined) throw new Error('nothing was measured')
    return {
      seconds: (last[1].nowMs - first[1].nowMs) / 1000,
      sender: sideOf(looks.map(([usage]) => usage)),
      receiver: sideOf(looks.map(([, usage]) => usage))
    }
  } finally {
    await Promise.all([stop(sender), stop(receiver)])
  }
}

/** CPU-seconds that decompression alone takes for a plain byte of the task's frames. */
export async function decodingCost(task: Task): Promise<number> {
  const peer = start()
  try {
    const { frames } = task
    return (await ask(peer, { say: 'decode', frames }, 'decoded')).cpuSecondsPerByte
  } finally {
    await stop(peer)
  }
}

async function look(sender: ChildProcess, receiver: ChildProcess): Promise<[Usage, Usage]> {
  const [a, b] = await Promise.all([
    ask(sender, { say: 'usage' }, 'usage'),
    ask(receiver, { say: 'usage' }, 'usage')
  ])
  return [a.usage, b.usage]
}

function sideOf(usages: readonly Usage[]): Side {
  const [first, last] = [usages[0], usages.at(-1)]
  if (first === undefined || last === undefined) throw new Error('nothing was measured')
  return {
    cpuSeconds: last.cpuSeconds - first.cpuSeconds,
    frameBytes: last.frameBytes - first.frameBytes,
    plainBytes: last.plainBytes - first.plainBytes,
    residentBytesMax: last.residentBytesMax,
    anonymousBytesMax: Math.max(...usages.map(usage => usage.anonymousBytes))
  }
}

function start(options: readonly string[] = [], core?: number): ChildProcess {
  const execArgv = [...nodeOptions, ...options]
  const pinned = {
    execPath: 'taskset',
    execArgv: ['-c', String(core), process.execPath, ...execArgv]
  }
  return fork(join(import.meta.dirname, 'peer.ts'), {
    ...(core === undefined ? { execArgv } : pinned),
    env: { ...process.env, ...allocator },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
}

export async function stop(peer: ChildProcess): Promise<void> {
  if (peer.exitCode !== null || peer.signalCode !== null) return
  const ended = once(peer, 'exit')
  peer.disconnect()
  await ended
}

export function ask<Say extends FromPeer['say']>(
  peer: ChildProcess,
  message: ToPeer,
  expected: Say
): Promise<Extract<FromPeer, { say: Say }>> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('a process of the bench has ended'))
    const answer = (heard: FromPeer): void => {
      if (heard.say !== expected) return
      peer.off('message', answer)
      peer.off('exit', ended)
      resolve(heard as Extract<FromPeer, { say: Say }>)
    }
    peer.on('message', answer)
    peer.once('exit', ended)
    peer.send(message)
  })
}

function wait(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
