import { limits } from '../base/index.ts'
import type { Answer, ListMessage, Message, Want, WireMessage } from './messages.ts'

type Listed = Want | Answer

/**
 * What a node says to a peer in one turn of the event loop: wants that follow one another become one
 * message, and so do answers. Nothing waits longer than the turn, and nothing changes its order.
 */
export class Outbox {
  /** Whether the peer understands lists; until it says so, all leaves as it is. */
  takesLists = false
  #kind: ListMessage['type'] | undefined
  #held: Listed[] = []

  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /** Gives what is to be written now. */
  put(message: Message): readonly WireMessage[] {
    const kind = this.takesLists ? kindOf(message) : undefined
    if (kind !== undefined && kind === this.#kind && this.#held.length < limits.listMessagesMax) {
      this.#held.push(message as Listed)
      return []
    }
    const before = this.#leave()
    this.#kind = kind
    if (kind !== undefined) this.#held = [message as Listed]
    return [...(before === undefined ? [] : [before]), ...(kind === undefined ? [message] : [])]
  }

  /** What is still to be written at the end of the turn. */
  take(): WireMessage | undefined {
    return this.#leave()
  }

  #leave(): WireMessage | undefined {
    const held = this.#held
    const kind = this.#kind
    const [first] = held
    if (first === undefined || kind === undefined) return undefined
    this.#kind = undefined
    this.#held = []
    if (held.length === 1) return first
    return kind === 'wants'
      ? { type: kind, wants: held as Want[] }
      : { type: kind, answers: held as Answer[] }
  }
}

/** The messages that came as one. */
export function messagesIn(message: WireMessage): readonly Message[] {
  if (message.type === 'wants') return message.wants
  return message.type === 'answers' ? message.answers : [message]
}

function kindOf(message: Message): ListMessage['type'] | undefined {
  const { type } = message
  if (type === 'want') return 'wants'
  const isAnswer = type === 'accept' || type === 'refuse'
  return isAnswer || (type === 'redirect' && message.to.length === 1) ? 'answers' : undefined
}
