import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Usage } from './messages.ts'

// It counts how late a timer of this period is; the period is no delay.
const periodMs = 2
const delay = monitorEventLoopDelay({ resolution: periodMs })
delay.enable()

export const counted = { frameBytes: 0, plainBytes: 0 }

export function usage(): Usage {
  const { user, system } = process.cpuUsage()
  const status = readFileSync('/proc/self/status', 'utf8')
  const kilobytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  const loopDelayMs = delay.percentile(99) / 1e6
  delay.reset()
  return {
    ...counted,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: kilobytes('VmRSS'),
    anonymousBytes: kilobytes('RssAnon'),
    residentBytesMax: kilobytes('VmHWM'),
    loopDelayMsP99: Math.max(0, loopDelayMs - periodMs),
    nowMs: performance.now()
  }
}
