import type { RequestClass, SendPolicy } from '../base/index.ts'
import { LineRate } from './line-rate.ts'
import type { Mechanisms } from './mechanisms.ts'
import { Yielding } from './yielding.ts'

interface Sending {
  readonly peer: string
  readonly bytes: number
  /** When a byte of it was handed to the connection last. */
  movedAt: number
}

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
/** A frame that did not move for this long is at a machine that is too slow to count. */
const slowMs = 500
const rateKept = 0.9

/**
 * How much of what nobody waits for is on its way from this node, over all its connections: what has
 * been handed to a connection cannot be overtaken by what somebody does wait for.
 */
export class SendWindow implements SendPolicy {
  #sending = new Map<string, Sending>()
  #line = new LineRate(rateKept)
  #yielding = new Yielding()

  mayBegin(peer: string, request: number, requestClass: RequestClass, now: number): boolean {
    if (this.#sending.has(keyOf(peer, request))) return true
    if (requestClass === 'background' && this.yields(now)) return false
    let bytes = 0
    for (const sending of this.#sending.values()) {
      if (now - sending.movedAt <= slowMs) bytes += sending.bytes
      // A slow machine holds no slot, and gets the next frame when it has taken this one.
      else if (sending.peer === peer) return false
    }
    return bytes < this.#windowBytes(now)
  }

  #windowBytes(now: number): number {
    const rate = this.#line.bytesPerMs
    const calm = this.#yielding.mayRead(now) ? 0 : Math.min(windowBytesCalmMax, calmMs * rate)
    return Math.max(windowBytesMin, calm, windowMs * rate)
  }

  yields(now: number): boolean {
    return this.#yielding.yields(now, this.#line.bytesPerMs)
  }

  began(peer: string, request: number, bytes: number, now: number): void {
    if (this.#sending.size === 0) this.#line.began(now)
    this.#yielding.began(now)
    this.#sending.set(keyOf(peer, request), { peer, bytes, movedAt: now })
  }

  urgent(now: number): void {
    this.#yielding.urgent(now)
  }

  moved(peer: string, request: number, now: number): void {
    const sending = this.#sending.get(keyOf(peer, request))
    if (sending !== undefined) sending.movedAt = now
  }

  ended(peer: string, request: number, now: number): void {
    const key = keyOf(peer, request)
    const sending = this.#sending.get(key)
    if (sending === undefined) return
    this.#sending.delete(key)
    this.#line.count(sending.bytes, now)
  }

  gone(peer: string): void {
    for (const [key, sending] of this.#sending) if (sending.peer === peer) this.#sending.delete(key)
  }
}

/** Undefined when the mechanism is off: then only connections bound what is on its way. */
export function makeSendWindow(mechanisms: Partial<Mechanisms> = {}): SendWindow | undefined {
  return mechanisms.sendWindow === false ? undefined : new SendWindow()
}

function keyOf(peer: string, request: number): string {
  return `${peer} ${request}`
}
