import { limits, type RequestClass, type SendPolicy } from '../base/index.ts'
import { InFlight } from './in-flight.ts'
import { LineRate } from './line-rate.ts'
import type { Mechanisms } from './mechanisms.ts'
import { Yielding } from './yielding.ts'

/** At 40 Mbit/s what is in flight is 27 ms of the line (research/swarm-simulation.md, advice 5). */
const windowBytesMin = 128 * 1024
/**
 * While nobody has waited for a while: what is on its way also lies in front of the receivers' lines,
 * which are full, and with less this node's own line stands empty meanwhile. Simulated copy to 16 at 40
 * Mbit/s: 1.15 with the smaller window, 1.04 with this one. It is a time, for on a slow line as many
 * bytes would take so long that every receiver seemed too slow to count: measured at 5 Mbit/s.
 */
const calmMs = 100
const windowBytesCalmMax = 512 * 1024
const windowMs = 25
const rateKept = 0.9
/** A segment is no longer on its way than this: at 512 Mbit/s the larger one. */
const segmentMs = 0.5

/**
 * How much of what nobody waits for is on its way from this node, over all its connections: what has
 * been handed to a connection cannot be overtaken by what somebody does wait for.
 */
export class SendWindow implements SendPolicy {
  #inFlight = new InFlight()
  #line = new LineRate(rateKept)
  #yielding = new Yielding()

  mayBegin(peer: string, request: number, requestClass: RequestClass, now: number): boolean {
    if (this.#inFlight.has(peer, request)) return true
    if (requestClass === 'background' && this.yields(now)) return false
    // A slow machine holds no slot, and gets the next frame when it has taken this one.
    if (this.#inFlight.isSlow(peer, now)) return false
    return this.#inFlight.bytes(now) < this.#windowBytes(now)
  }

  #windowBytes(now: number): number {
    const rate = this.#line.bytesPerMs
    const calm = this.#yielding.mayRead(now) ? 0 : Math.min(windowBytesCalmMax, calmMs * rate)
    return Math.max(windowBytesMin, calm, windowMs * rate)
  }

  segmentBytes(now: number): number {
    // While one machine's operating system reads, another may, and then it waits for this.
    if (this.#yielding.isReading(now)) return limits.segmentBytes
    const isQuick = segmentMs * this.#line.bytesPerMs >= limits.segmentBytesMax
    return isQuick ? limits.segmentBytesMax : limits.segmentBytes
  }

  yields(now: number): boolean {
    return this.#yielding.yields(now, this.#line.bytesPerMs)
  }

  began(peer: string, request: number, bytes: number, now: number): void {
    if (this.#inFlight.size === 0) this.#line.began(now)
    this.#yielding.began(now)
    this.#inFlight.began(peer, request, bytes, now)
  }

  urgent(now: number): void {
    this.#yielding.urgent(now)
  }

  moved(peer: string, request: number, now: number): void {
    this.#inFlight.moved(peer, request, now)
  }

  ended(peer: string, request: number, now: number): void {
    const bytes = this.#inFlight.ended(peer, request)
    if (bytes !== undefined) this.#line.count(bytes, now)
  }

  gone(peer: string): void {
    this.#inFlight.gone(peer)
  }
}

/** Undefined when the mechanism is off: then only connections bound what is on its way. */
export function makeSendWindow(mechanisms: Partial<Mechanisms> = {}): SendWindow | undefined {
  return mechanisms.sendWindow === false ? undefined : new SendWindow()
}
