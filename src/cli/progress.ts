import { Presets, SingleBar } from 'cli-progress'
import { formatBytes, formatDuration } from './formats.ts'
import { printEvent, printNote } from './output.ts'

/** How far a command is, by bytes. */
export interface Progress {
  readonly update: (bytesDone: number, size: number) => void
  /** Clears the bar away. May be called twice. */
  readonly end: () => void
}

const jsonIntervalMs = 1_000
const lineIntervalMs = 5_000

/** Objects with --json, a bar on a terminal, else a plain line every few seconds. */
export function startProgress(label: string, json: boolean): Progress {
  if (json) {
    return atIntervals(jsonIntervalMs, (bytesDone, size) => {
      printEvent({ event: 'progress', bytesDone, size })
    })
  }
  if (process.stderr.isTTY) return progressBar(label)
  return atIntervals(lineIntervalMs, (bytesDone, size) => {
    const percent = Math.floor((bytesDone / size) * 100)
    printNote(`${label}: ${percent} % of ${formatBytes(size)}`)
  })
}

function atIntervals(
  intervalMs: number,
  print: (bytesDone: number, size: number) => void
): Progress {
  let printedMs = performance.now()
  return {
    update(bytesDone, size) {
      const nowMs = performance.now()
      if (nowMs - printedMs < intervalMs) return
      printedMs = nowMs
      print(bytesDone, size)
    },
    end() {}
  }
}

function progressBar(label: string): Progress {
  // What was there before counts for no rate.
  let first: { readonly bytesDone: number; readonly ms: number } | undefined
  const format = `${label} {bar} {percentage} % of {total} · {rate}/s · {left} left`
  const bar = new SingleBar(
    {
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      format,
      formatValue: (value, _options, type) =>
        type === 'total' ? formatBytes(value) : String(value)
    },
    Presets.shades_classic
  )
  let isStarted = false
  return {
    update(bytesDone, size) {
      const ms = performance.now()
      first ??= { bytesDone, ms }
      const seconds = Math.max((ms - first.ms) / 1000, 0.001)
      const rate = (bytesDone - first.bytesDone) / seconds
      const left = rate > 0 ? formatDuration(((size - bytesDone) / rate) * 1000) : '?'
      const payload = { rate: formatBytes(rate), left }
      if (!isStarted) bar.start(size, bytesDone, payload)
      else bar.update(bytesDone, payload)
      isStarted = true
    },
    end() {
      if (isStarted) bar.stop()
      isStarted = false
    }
  }
}
