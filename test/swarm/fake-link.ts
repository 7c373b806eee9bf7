import type { Link } from '../../src/swarm/link.ts'
import type { Message } from '../../src/swarm/wire.ts'

/**
 * A link whose socket the test is: it keeps what was sent and takes segments only when it has room.
 */
export class FakeLink {
  readonly peerId: string
  readonly sent: Message[] = []
  place = ''
  /** Segments that it takes before it is full. */
  room = Infinity

  constructor(peerId: string) {
    this.peerId = peerId
  }

  get writable(): boolean {
    return this.room > 0
  }

  send(message: Message): void {
    this.sent.push(message)
  }

  sendAll(messages: readonly Message[]): void {
    this.sent.push(...messages)
  }

  sendSegment(request: number, bytes: Uint8Array): void {
    this.room -= 1
    this.sent.push({ type: 'segment', request, bytes })
  }

  /** What uploads and downloads use of a link is here. */
  get link(): Link {
    return this as unknown as Link
  }

  sentOf<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    return this.sent.filter(
      (message): message is Extract<Message, { type: T }> => message.type === type
    )
  }
}
