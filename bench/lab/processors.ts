import { readFileSync } from 'node:fs'
import { rounded } from './statistics.ts'

// How busy the processors were, and who kept them busy: from /proc (proc(5)), in seconds.

export interface ProcessorTimes {
  readonly idle: number
  readonly user: number
  readonly kernel: number
  /** Packets being moved, mostly; on a real lab each machine's own processor does that. */
  readonly interrupts: number
  readonly stolen: number
}

const ticksPerSecond = 100

export function processorTimes(): ProcessorTimes {
  return parseProcessorTimes(readFileSync('/proc/stat', 'utf8'))
}

export function parseProcessorTimes(stat: string): ProcessorTimes {
  const line = /^cpu +(.*)$/m.exec(stat)
  const ticks = (line?.[1] ?? '').split(' ').map(Number)
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, hard = 0, soft = 0, stolen = 0] =
    ticks
  if (ticks.length < 8) throw new Error('/proc/stat has no line for all processors')
  return {
    idle: (idle + waiting) / ticksPerSecond,
    user: (user + nice) / ticksPerSecond,
    kernel: system / ticksPerSecond,
    interrupts: (hard + soft) / ticksPerSecond,
    stolen: stolen / ticksPerSecond
  }
}

/** The share of each kind of time between two moments; they add up to 1. */
export function processorShares(before: ProcessorTimes, after: ProcessorTimes): ProcessorTimes {
  const spent = (key: keyof ProcessorTimes): number => Math.max(0, after[key] - before[key])
  const keys = ['idle', 'user', 'kernel', 'interrupts', 'stolen'] as const
  const all = keys.reduce((sum, key) => sum + spent(key), 0) || 1
  const share = (key: keyof ProcessorTimes): number => rounded(spent(key) / all, 4)
  return {
    idle: share('idle'),
    user: share('user'),
    kernel: share('kernel'),
    interrupts: share('interrupts'),
    stolen: share('stolen')
  }
}

export interface ProcessTimes {
  readonly seconds: number
  /** One letter of proc(5): S sleeps, R runs or would like to. */
  readonly state: string
}

/** Undefined for a process that has ended. */
export function processTimes(pid: number): ProcessTimes | undefined {
  try {
    return parseProcessTimes(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return undefined
  }
}

/** The name in brackets may hold anything, even brackets: the fields begin after the last one. */
export function parseProcessTimes(stat: string): ProcessTimes {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  if (!Number.isFinite(ticks)) throw new Error('what was read is no /proc/PID/stat')
  return { seconds: ticks / ticksPerSecond, state: fields[0] ?? '' }
}
