import { readFileSync } from 'node:fs'
import type { Usage } from './messages.ts'

export const counted = { frameBytes: 0, plainBytes: 0 }

export function usage(): Usage {
  const { user, system } = process.cpuUsage()
  const status = readFileSync('/proc/self/status', 'utf8')
  const kilobytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return {
    ...counted,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: kilobytes('VmRSS'),
    anonymousBytes: kilobytes('RssAnon'),
    residentBytesMax: kilobytes('VmHWM'),
    nowMs: performance.now()
  }
}
