import type { TLSSocket } from 'node:tls'
import { StreamStateError, type AbortOptions, type MessageStream } from '@libp2p/interface'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'

type Pieces = Parameters<AbstractMessageStream['sendData']>[0]

/**
 * The plain side of a secured connection. It ends with the connection below, which holds the socket;
 * what is sent goes to that socket at once, so that a connection that is closed sends it first.
 */
export class TlsStream extends AbstractMessageStream {
  #connection: MessageStream
  #socket: TLSSocket

  constructor(connection: MessageStream, socket: TLSSocket) {
    const { log, inactivityTimeout, maxReadBufferLength, direction } = connection
    super({ log, inactivityTimeout, maxReadBufferLength, direction })
    this.#connection = connection
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => this.onData(bytes))
    socket.on('drain', () => this.safeDispatchEvent('drain'))
    connection.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.onTransportClosed()
      else if (local) this.abort(error)
      else this.onRemoteReset()
    })
  }

  override get writeBufferLength(): number {
    return this.#socket.writableLength
  }

  override send(data: Uint8Array | Pieces): boolean {
    if (this.writeStatus !== 'writable' || !this.#socket.writable) {
      throw new StreamStateError('cannot write to a connection that is closing')
    }
    const { canSendMore } = this.sendData(data)
    this.writableNeedsDrain = !canSendMore
    return canSendMore
  }

  /** One write, and so as few records and packets as there can be, however many pieces it has. */
  override sendData(data: Uint8Array | Pieces): SendResult {
    const pieces = data instanceof Uint8Array ? [data] : data
    let canSendMore = true
    this.#socket.cork()
    for (const piece of pieces) canSendMore = this.#socket.write(piece)
    this.#socket.uncork()
    return { sentBytes: data.byteLength, canSendMore }
  }

  override sendReset(error: Error): void {
    this.#connection.abort(error)
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }

  override async close(options?: AbortOptions): Promise<void> {
    await this.#connection.close(options)
  }
}
