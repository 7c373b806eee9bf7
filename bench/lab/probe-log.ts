import { readFile } from 'node:fs/promises'

/** A line that the probe wrote; counts are since the start, chunks since the line before. */
export interface ProbeLine {
  readonly epochMs: number
  readonly received: Readonly<Record<string, number>>
  readonly sent: Readonly<Record<string, number>>
  /** What the node decided about requests: `urgent → redirect`. */
  readonly decisions: Readonly<Record<string, number>>
  /** Ids of chunks whose last byte was sent. */
  readonly chunks: readonly string[]
}

export interface ProbeSummary {
  /** Control messages a second in the busiest second, both ways together; segments are data. */
  readonly messagesPerSecondMax: number
  readonly received: Readonly<Record<string, number>>
  readonly sent: Readonly<Record<string, number>>
  readonly decisions: Readonly<Record<string, number>>
  readonly chunksSent: number
  readonly distinctChunksSent: number
  /** Bytes of the frames among them that belong to the boot set. */
  readonly bootSetBytesSent: number
}

const data = new Set(['frame', 'segment'])
const peakMs = 1_000

export async function readProbe(path: string): Promise<ProbeLine[]> {
  return parseProbe(await readFile(path, 'utf8').catch(() => ''))
}

/** The last line may have been cut off when the process was killed. */
export function parseProbe(text: string): ProbeLine[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as ProbeLine)
}

/** What the lines until `endEpochMs` come to. */
export function summarizeProbe(
  lines: readonly ProbeLine[],
  endEpochMs: number,
  bootSet: ReadonlyMap<string, number>
): ProbeSummary | undefined {
  const counted = lines.filter(line => line.epochMs <= endEpochMs)
  const last = counted.at(-1)
  if (last === undefined) return undefined
  const chunks = counted.flatMap(line => line.chunks)
  return {
    messagesPerSecondMax: busiestSecond(counted),
    received: last.received,
    sent: last.sent,
    decisions: last.decisions,
    chunksSent: chunks.length,
    distinctChunksSent: new Set(chunks).size,
    bootSetBytesSent: chunks.reduce((sum, id) => sum + (bootSet.get(id) ?? 0), 0)
  }
}

function busiestSecond(lines: readonly ProbeLine[]): number {
  let most = 0
  let first = 0
  for (const [index, line] of lines.entries()) {
    while ((lines[first]?.epochMs ?? Infinity) < line.epochMs - peakMs) first += 1
    const before = lines[Math.min(first, index)]
    if (before !== undefined) most = Math.max(most, controlMessages(line) - controlMessages(before))
  }
  return most
}

function controlMessages({ received, sent }: ProbeLine): number {
  return [...Object.entries(received), ...Object.entries(sent)]
    .filter(([type]) => !data.has(type))
    .reduce((sum, [, count]) => sum + count, 0)
}
