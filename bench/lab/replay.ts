import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NbdClient } from '../../src/nbd/index.ts'
import { rounded, sum, summarize, type Summary } from './statistics.ts'
import { thinkTimesMs, type BootTrace } from './trace.ts'

/** What to read, what must come, and how long to think before each read. */
export interface Script {
  readonly reads: readonly ScriptedRead[]
  readonly thinkMs: number
}

interface ScriptedRead {
  readonly offset: number
  readonly expected: Buffer
  readonly thinkMs: number
}

export interface Replayed {
  /** performance.now() at the reply to the last read. */
  readonly endedAtMs: number
  readonly firstReplyAtMs: number
  readonly latencyMs: Summary
  /** Reads that waited for longer than two seconds. */
  readonly late: number
  /** What waiting the machine felt: the sum of what exceeds 5 ms a read, over so many reads. */
  readonly waits: { readonly seconds: number; readonly reads: number }
}

/** A sleep is never shorter than this, so that shorter thoughts are saved up for one. */
const sleepMsMin = 1
/** A sleep that took longer than asked for is made up for in the next; a busy processor is not. */
const creditMsMax = 2
const lateMs = 2_000
/** A disk of its own would let it wait for as long. */
const feltMs = 5

export async function loadScript(trace: BootTrace, imagePath: string): Promise<Script> {
  const thinkTimes = thinkTimesMs(trace.reads)
  await using image = await open(imagePath, 'r')
  const reads: ScriptedRead[] = []
  for (const [index, { offset, length }] of trace.reads.entries()) {
    const expected = Buffer.alloc(length)
    await image.read(expected, 0, length, offset)
    reads.push({ offset, expected, thinkMs: thinkTimes[index] ?? 0 })
  }
  return { reads, thinkMs: thinkTimes.reduce((all, ms) => all + ms, 0) }
}

/** Reads as the boot did, one at a time, and checks every byte that comes. */
export async function replay(client: NbdClient, { reads }: Script): Promise<Replayed> {
  const latencies: number[] = []
  let firstReplyAtMs = 0
  let owedMs = 0
  for (const { offset, expected, thinkMs } of reads) {
    owedMs += thinkMs
    if (owedMs >= sleepMsMin) {
      const from = performance.now()
      await sleep(owedMs)
      owedMs = Math.max(owedMs - (performance.now() - from), -creditMsMax)
    }
    const askedAt = performance.now()
    const actual = await client.read(offset, expected.length)
    const now = performance.now()
    latencies.push(now - askedAt)
    if (firstReplyAtMs === 0) firstReplyAtMs = now
    if (!actual.equals(expected)) throw new Error(`wrong bytes at ${offset} (${expected.length})`)
  }
  return {
    endedAtMs: performance.now(),
    firstReplyAtMs,
    latencyMs: summarize(latencies),
    late: latencies.filter(ms => ms > lateMs).length,
    waits: waitsOf(latencies)
  }
}

/** What a run keeps of a replay. */
export type ReplayFacts = Omit<Replayed, 'endedAtMs' | 'firstReplyAtMs'> & {
  readonly firstReplySeconds: number
}

export function replayFacts(
  { latencyMs, late, waits, firstReplyAtMs }: Replayed,
  span: { seconds(atMs: number): number }
): ReplayFacts {
  const firstReplySeconds = rounded(span.seconds(firstReplyAtMs), 3)
  return { latencyMs, late, waits, firstReplySeconds }
}

export function waitsOf(latenciesMs: readonly number[]): Replayed['waits'] {
  const felt = latenciesMs.filter(ms => ms > feltMs)
  return { seconds: sum(felt.map(ms => ms - feltMs)) / 1000, reads: felt.length }
}
