import { percentile } from '../lab/statistics.ts'
import type { CrowdResult } from './crowd.ts'
import type { FrameKind } from './frames.ts'
import type { Transport } from './messages.ts'
import type { Measured } from './pair.ts'

export interface Config {
  readonly transport: Transport
  readonly frames: FrameKind
}

/** Medians over the repetitions of one configuration. */
export interface Figures extends Config {
  readonly repetitions: number
  readonly megabytesPerSecond: number
  readonly plainMegabytesPerSecond: number
  /** CPU-seconds a GB of frames, or of plain bytes. */
  readonly senderPerFrameGB: number
  readonly receiverPerPlainGB: number
  /** What decompression alone takes of the last, measured beside it. */
  readonly decodingPerPlainGB: number
  readonly senderResidentMB: number
  readonly receiverResidentMB: number
  readonly receiverAnonymousMB: number
}

export function figuresOf(
  config: Config,
  measured: readonly Measured[],
  decodingPerByte: readonly number[]
): Figures {
  const median = (value: (one: Measured) => number): number => percentile(measured.map(value), 0.5)
  const highest = (value: (one: Measured) => number): number => Math.max(...measured.map(value))
  return {
    ...config,
    repetitions: measured.length,
    megabytesPerSecond: median(one => one.receiver.frameBytes / 1e6 / one.seconds),
    plainMegabytesPerSecond: median(one => one.receiver.plainBytes / 1e6 / one.seconds),
    senderPerFrameGB: median(one => (one.sender.cpuSeconds / one.sender.frameBytes) * 1e9),
    receiverPerPlainGB: median(one => (one.receiver.cpuSeconds / one.receiver.plainBytes) * 1e9),
    decodingPerPlainGB: percentile(decodingPerByte, 0.5) * 1e9,
    senderResidentMB: highest(one => one.sender.residentBytesMax / 1e6),
    receiverResidentMB: highest(one => one.receiver.residentBytesMax / 1e6),
    receiverAnonymousMB: highest(one => one.receiver.anonymousBytesMax / 1e6)
  }
}

export interface Target {
  readonly what: string
  readonly wanted: string
  readonly measured: string
  readonly isMet: boolean
}

export function targetsOf(all: readonly Figures[], crowd: CrowdResult | undefined): Target[] {
  const of = (transport: Transport, frames: FrameKind): Figures | undefined =>
    all.find(figures => figures.transport === transport && figures.frames === frames)
  const [bare, tls, noise] = [of('bare', 'plain'), of('tls', 'plain'), of('noise', 'plain')]
  const packed = of('tls', 'zstd')
  const targets: Target[] = []
  const add = (what: string, value: number, wanted: string, isMet: boolean): void =>
    void targets.push({ what, wanted, measured: value.toFixed(2), isMet })
  if (bare && tls) {
    const ratio = tls.megabytesPerSecond / bare.megabytesPerSecond
    add('rate, share of bare node:tls', ratio, 'at least 0.5', ratio >= 0.5)
  }
  if (noise && tls) {
    const ratio = tls.megabytesPerSecond / noise.megabytesPerSecond
    add('rate, times noise', ratio, 'at least 2', ratio >= 2)
  }
  if (tls) {
    const { senderPerFrameGB, receiverPerPlainGB } = tls
    add('sender, CPU-s a GB of frames', senderPerFrameGB, 'at most 1.0', senderPerFrameGB <= 1)
    add(
      'receiver, CPU-s a GB, plain frames',
      receiverPerPlainGB,
      'at most 1.5',
      receiverPerPlainGB <= 1.5
    )
  }
  if (packed) {
    const beyond = packed.receiverPerPlainGB - packed.decodingPerPlainGB
    add('receiver beyond decompression, zstd frames', beyond, 'at most 1.5', beyond <= 1.5)
  }
  if (crowd) {
    const megabytes = crowd.busy.residentBytes / 1e6
    const { loopDelayMsP99 } = crowd.busy
    add(`seed with ${crowd.agents} agents, MB resident`, megabytes, 'below 600', megabytes < 600)
    add('its event loop, p99 of its delay in ms', loopDelayMsP99, 'below 20', loopDelayMsP99 < 20)
  }
  return targets
}
