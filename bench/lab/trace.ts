// The trace of a boot: what a guest read from its disk and when, recorded by images/record-boot.sh,
// and how a replay paces itself by it.

export interface TracedRead {
  /** Since the first read. */
  readonly seconds: number
  readonly offset: number
  readonly length: number
}

export interface BootTrace {
  /** CID of the image that the boot was recorded from. */
  readonly image: string
  readonly reads: readonly TracedRead[]
}

const format = 'bootswarm boot trace 1'
const readsMax = 1_000_000
const lengthMax = 32 * 1024 * 1024

/** A real machine thinks about this much faster than the software emulation that was recorded. */
const paceFactor = 0.15
/** A longer pause is the emulated firmware's, not the guest's. */
const gapSecondsMax = 1

/**
 * The reads in the log of nbdkit's log filter, in the order in which they were sent:
 * `2020-08-06 02:07:23.080907 connection=1 Read id=1 offset=0x0 count=0x200 ...`
 * Throws when the log has none.
 */
export function readsInLog(log: string): TracedRead[] {
  const line =
    /^\d{4}-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d\.\d+) connection=\d+ Read .*?offset=0x([0-9a-f]+) count=0x([0-9a-f]+)/gm
  const reads: TracedRead[] = []
  let firstSeconds: number | undefined
  let midnights = 0
  let lastDay: string | undefined
  for (const [, month, day, hours, minutes, seconds, offset = '', count = ''] of log.matchAll(
    line
  )) {
    if (lastDay !== undefined && lastDay !== `${month}-${day}`) midnights += 1
    lastDay = `${month}-${day}`
    const now = ((midnights * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
    firstSeconds ??= now
    reads.push({
      seconds: Math.round((now - firstSeconds) * 1e6) / 1e6,
      offset: parseInt(offset, 16),
      length: parseInt(count, 16)
    })
  }
  if (reads.length === 0) throw new Error('the log of the log filter has no read in it')
  return reads
}

export function encodeTrace({ image, reads }: BootTrace): string {
  const lines = reads.map(({ seconds, offset, length }) =>
    JSON.stringify([seconds, offset, length])
  )
  return `{"format":"${format}","image":"${image}","reads":[\n${lines.join(',\n')}\n]}\n`
}

/** Throws when it is no trace, not of that image, or reaches beyond its size. */
export function parseTrace(
  text: string,
  image: { readonly cid: string; readonly size: number }
): BootTrace {
  const trace = JSON.parse(text) as { format?: unknown; image?: unknown; reads?: unknown }
  if (trace.format !== format || !Array.isArray(trace.reads) || trace.reads.length > readsMax) {
    throw new Error(`the trace is not a '${format}'; record one with images/record-boot.sh`)
  }
  if (trace.image !== image.cid) {
    throw new Error(
      `the trace was recorded from the image ${String(trace.image)}, not from ${image.cid}; record one with images/record-boot.sh`
    )
  }
  return { image: image.cid, reads: trace.reads.map(read => checkedRead(read, image.size)) }
}

function checkedRead(read: unknown, size: number): TracedRead {
  const [seconds, offset, length] = Array.isArray(read) ? (read as unknown[]) : []
  const isRead =
    typeof seconds === 'number' &&
    seconds >= 0 &&
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    Number(offset) >= 0 &&
    Number(length) > 0 &&
    Number(length) <= lengthMax &&
    Number(offset) + Number(length) <= size
  if (!isRead)
    throw new Error(`the trace has a read that the image cannot serve: ${JSON.stringify(read)}`)
  return { seconds, offset: Number(offset), length: Number(length) }
}

/** How long to think between the reply to the read before and each read, in ms; the first is at once. */
export function thinkTimesMs(reads: readonly TracedRead[]): number[] {
  return reads.map(({ seconds }, index) => {
    const before = reads[index - 1]
    if (before === undefined) return 0
    return Math.min(Math.max(seconds - before.seconds, 0), gapSecondsMax) * paceFactor * 1000
  })
}

/** The chunks that the reads touch, in the order of the first touch. */
export function chunksTouched(reads: readonly TracedRead[], chunkSize: number): number[] {
  const touched = new Set<number>()
  for (const { offset, length } of reads) {
    const last = Math.floor((offset + length - 1) / chunkSize)
    for (let chunk = Math.floor(offset / chunkSize); chunk <= last; chunk += 1) touched.add(chunk)
  }
  return [...touched]
}
