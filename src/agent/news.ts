import { limits, type Timers } from '../base/index.ts'
import { haveItemsMax, type Link, type Message } from '../swarm/index.ts'

type NewsMessage = Extract<Message, { type: 'have' | 'have-not' | 'read' }>
type NewsType = NewsMessage['type']

export interface Patience {
  readonly patientMs: number
  readonly enough?: number
}

/**
 * What is new since its listeners were told last, collected for a while so that a stream of chunks
 * does not become a stream of messages.
 */
export class News {
  readonly listeners = new Set<Link>()
  #imageId: string
  #timers: Timers
  #changed = new Map<number, boolean>()
  #read: number[] = []
  #tellAt = Infinity
  #forget: () => void = () => {}

  constructor(imageId: string, timers: Timers) {
    this.#imageId = imageId
    this.#timers = timers
  }

  /** Told after `patientMs` at the latest, and soon when `enough` items have gathered. */
  changed(item: number, servable: boolean, { patientMs, enough = Infinity }: Patience): void {
    this.#changed.set(item, servable)
    const isMuch = this.#changed.size >= enough
    this.#tellWithin(isMuch ? Math.min(limits.haveIntervalMs, patientMs) : patientMs)
  }

  read(item: number): void {
    this.#read.push(item)
    this.#tellWithin(limits.readIntervalMs)
  }

  stop(): void {
    this.#forget()
  }

  /** What is told sooner takes along what could have waited. */
  #tellWithin(delayMs: number): void {
    const tellAt = this.#timers.now() + delayMs
    if (tellAt >= this.#tellAt) return
    this.#forget()
    this.#tellAt = tellAt
    this.#forget = this.#timers.after(delayMs, () => this.#tell())
  }

  #tell(): void {
    this.#tellAt = Infinity
    const having = (wanted: boolean): number[] =>
      [...this.#changed].flatMap(([item, servable]) => (servable === wanted ? [item] : []))
    const messages = [
      ...messagesOf('have', this.#imageId, having(true)),
      ...messagesOf('have-not', this.#imageId, having(false)),
      ...messagesOf('read', this.#imageId, this.#read)
    ]
    this.#changed.clear()
    this.#read = []
    for (const link of this.listeners) link.sendAll(messages)
  }
}

/** As many messages as so many items need. */
export function messagesOf(
  type: NewsType,
  imageId: string,
  items: readonly number[]
): NewsMessage[] {
  const messages: NewsMessage[] = []
  for (let at = 0; at < items.length; at += haveItemsMax) {
    messages.push({ type, imageId, items: items.slice(at, at + haveItemsMax) })
  }
  return messages
}
