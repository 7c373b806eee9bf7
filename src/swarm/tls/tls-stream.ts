import type { TLSSocket } from 'node:tls'
import { StreamStateError, type AbortOptions, type MessageStream } from '@libp2p/interface'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import { limits, readDirectly, type TakeBytes } from '../../base/index.ts'
import { blocks } from '../block-pool.ts'
import { BlockWriter } from '../block-writer.ts'

type Pieces = Parameters<AbstractMessageStream['sendData']>[0]

/** All connections are read into it: one read of each is a record. */
const readBuffer = Buffer.allocUnsafeSlow(limits.readBufferBytes)

/**
 * The plain side of a secured connection. It ends with the connection below, which holds the socket.
 *
 * What is sent in one turn of the event loop is collected and written at its end, or as soon as a block
 * is full: each write is a system call and a TLS record at least, and a peer that answers a dozen
 * messages would else answer in a dozen packets.
 */
export class TlsStream extends AbstractMessageStream {
  #connection: MessageStream
  #socket: TLSSocket
  #writer = new BlockWriter(blocks, (bytes, block) => this.#handOn(bytes, block))
  /** Given to the socket and not yet taken by the kernel. */
  #unsentBytes = 0
  /** Somebody was told to wait for 'drain'. */
  #isAwaited = false
  #take: TakeBytes | undefined

  constructor(connection: MessageStream, socket: TLSSocket) {
    const { log, inactivityTimeout, maxReadBufferLength, direction } = connection
    super({ log, inactivityTimeout, maxReadBufferLength, direction })
    this.#connection = connection
    this.#socket = socket
    const receive = (bytes: Buffer): void => this.#receive(bytes)
    if (!readDirectly(socket, readBuffer, receive)) socket.on('data', receive)
    // Whoever closes the connection closes the socket: what is collected goes out before.
    const destroySoon = socket.destroySoon.bind(socket)
    socket.destroySoon = () => {
      this.#writer.flush()
      destroySoon()
    }
    connection.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.onTransportClosed()
      else if (local) this.abort(error)
      else this.onRemoteReset()
    })
  }

  override get writeBufferLength(): number {
    return this.#writer.filled + this.#unsentBytes
  }

  /** Keeps no reference to `data`: it may be overwritten afterwards. */
  override send(data: Uint8Array | Pieces): boolean {
    if (this.writeStatus !== 'writable' || !this.#socket.writable) {
      throw new StreamStateError('cannot write to a connection that is closing')
    }
    const { canSendMore } = this.sendData(data)
    this.writableNeedsDrain = !canSendMore
    return canSendMore
  }

  override sendData(data: Uint8Array | Pieces): SendResult {
    for (const piece of data instanceof Uint8Array ? [data] : data) this.#writer.write(piece)
    const canSendMore = this.#hasRoom()
    if (!canSendMore) this.#isAwaited = true
    return { sentBytes: data.byteLength, canSendMore }
  }

  /** `take` is given what comes in instead of the 'message' event, but for what had to be kept meanwhile. */
  takeDirectly(take: TakeBytes): void {
    this.#take = take
  }

  /** As `send`, of what lies in a block of the pool up to `end`; it is this stream's from now on. */
  sendBlock(block: Buffer, end: number): boolean {
    if (this.writeStatus !== 'writable' || !this.#socket.writable) {
      blocks.give(block)
      throw new StreamStateError('cannot write to a connection that is closing')
    }
    if (end > limits.smallWriteBytesMax) {
      this.#writer.flush()
      this.#handOn(block.subarray(0, end), block)
    } else {
      this.#writer.write(block.subarray(0, end))
      blocks.give(block)
      this.#writer.flush()
    }
    const canSendMore = this.#hasRoom()
    if (!canSendMore) this.#isAwaited = true
    this.writableNeedsDrain = !canSendMore
    return canSendMore
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

  #receive(bytes: Buffer): void {
    const isNext = this.readStatus === 'readable' && this.readBufferLength === 0
    if (this.#take !== undefined && isNext) this.#take(bytes)
    else this.onData(Uint8Array.from(bytes))
  }

  #handOn(bytes: Buffer, block: Buffer): void {
    if (bytes.length <= limits.smallWriteBytesMax) {
      // Hundreds of links that each say little would else hold a whole block each until it is sent.
      const copy = Buffer.from(bytes)
      blocks.give(block)
      this.#write(copy)
    } else this.#write(bytes, block)
  }

  #write(bytes: Buffer, block?: Buffer): void {
    this.#unsentBytes += bytes.length
    // Called with an error too, when the socket has ended.
    this.#socket.write(bytes, () => {
      this.#unsentBytes -= bytes.length
      if (block !== undefined) blocks.give(block)
      if (!this.#isAwaited || !this.#hasRoom()) return
      this.#isAwaited = false
      this.safeDispatchEvent('drain')
    })
  }

  #hasRoom(): boolean {
    return this.writeBufferLength < limits.sendBufferPeerBytes
  }
}
