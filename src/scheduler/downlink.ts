import { LineRate } from './line-rate.ts'

/** What a frame is taken to need before any has come: on a line of 5 Mbit/s. */
const frameMsInitial = 84
const frameBytesInitial = 64 * 1024
const frameWeight = 0.1
/** What is left of the rate after each span that was slower. */
const rateKept = 0.97
/** What nobody waits for takes at most so much of the line, at any rate (DESIGN, Swarm). */
const budgetMs = 25
const budgetBytesMin = 128 * 1024

/** Frames that are on their way to us, or soon will be, and what has come of them. */
export interface Coming {
  readonly count: number
  readonly received: number
}

/** What our own line was seen to bring, and how large the frames are. */
export class Downlink {
  #rate = new LineRate(rateKept)
  /** Moving average. */
  frameBytes = frameBytesInitial

  /** 0 while the line has brought nothing. */
  get bytesPerMs(): number {
    return this.#rate.bytesPerMs
  }

  /** How long it takes for one frame. */
  get frameMs(): number {
    return this.bytesPerMs === 0 ? frameMsInitial : this.frameBytes / this.bytesPerMs
  }

  moved(bytes: number, now: number): void {
    this.#rate.moved(bytes, now)
  }

  /** A whole frame of so many bytes has come. */
  came(bytes: number): void {
    this.frameBytes += frameWeight * (bytes - this.frameBytes)
  }

  /** How long it takes for what is on its way, in ms. */
  drainMs({ count, received }: Coming): number {
    const bytes = Math.max(0, count * this.frameBytes - received)
    return this.bytesPerMs === 0 ? 0 : bytes / this.bytesPerMs
  }

  /**
   * Whether there is room for one more frame that nobody waits for: what is on its way cannot be overtaken
   * by what somebody will wait for. Half of the frame counts, so that what is on its way is the budget on
   * the average.
   */
  hasRoom({ count, received }: Coming): boolean {
    const bytes = (count + 0.5) * this.frameBytes - received
    return bytes < Math.max(budgetBytesMin, budgetMs * this.bytesPerMs)
  }
}
