import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { BootswarmError } from '../base/index.ts'
import { formatNbdAddress, type NbdAddress } from './address.ts'
import { ByteQueue } from './byte-queue.ts'
import {
  clientFlags,
  clientFlagsBytes,
  commands,
  greetingBytes,
  greetingMagic,
  optionHeaderBytes,
  optionMagic,
  options,
  requestBytes,
  requestMagic,
  simpleReplyBytes,
  simpleReplyMagic
} from './wire.ts'

/** Size and transmission flags, what EXPORT_NAME is answered with when NO_ZEROES was agreed on. */
const exportBytes = 10

/**
 * The least of an NBD client: the default export, one request at a time. For our own demo and
 * benches; the tests judge the server by other people's clients.
 */
export class NbdClient {
  readonly size: number
  #socket: Socket
  #inbox: Inbox
  #cookie = 0n
  #turn: Promise<unknown> = Promise.resolve()

  /** Throws ERR_NBD_PROTOCOL when what answers is no NBD server. */
  static async connect(address: NbdAddress): Promise<NbdClient> {
    const socket = address.kind === 'unix' ? connect(address.path) : connect(address)
    await once(socket, 'connect')
    const inbox = new Inbox(socket, formatNbdAddress(address))
    const greeting = await inbox.take(greetingBytes)
    if (greeting.readBigUInt64BE(0) !== greetingMagic) {
      throw inbox.error('what answers is no NBD server')
    }
    const hello = Buffer.alloc(clientFlagsBytes + optionHeaderBytes)
    hello.writeUInt32BE(clientFlags.FIXED_NEWSTYLE | clientFlags.NO_ZEROES, 0)
    hello.writeBigUInt64BE(optionMagic, clientFlagsBytes)
    hello.writeUInt32BE(options.EXPORT_NAME, clientFlagsBytes + 8)
    socket.write(hello)
    const description = await inbox.take(exportBytes)
    return new NbdClient(socket, inbox, Number(description.readBigUInt64BE(0)))
  }

  private constructor(socket: Socket, inbox: Inbox, size: number) {
    this.#socket = socket
    this.#inbox = inbox
    this.size = size
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#request(commands.READ, offset, length)
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.#request(commands.WRITE, offset, data.length, data)
  }

  async flush(): Promise<void> {
    await this.#request(commands.FLUSH, 0, 0)
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => {})
    this.#socket.end(encodeRequest(commands.DISC, 0n, 0, 0))
  }

  #request(command: number, offset: number, length: number, data?: Uint8Array): Promise<Buffer> {
    const turn = this.#turn.then(async () => {
      this.#cookie += 1n
      this.#socket.write(encodeRequest(command, this.#cookie, offset, length))
      if (data !== undefined) this.#socket.write(data)
      const reply = await this.#inbox.take(simpleReplyBytes)
      if (reply.readUInt32BE(0) !== simpleReplyMagic || reply.readBigUInt64BE(8) !== this.#cookie) {
        throw this.#inbox.error('a reply belongs to no request')
      }
      const error = reply.readUInt32BE(4)
      if (error !== 0) throw this.#inbox.error(`a request failed with error ${error}`)
      return this.#inbox.take(command === commands.READ ? length : 0)
    })
    this.#turn = turn.catch(() => {
      // The caller has the rejection; the next request finds out for itself.
    })
    return turn
  }
}

function encodeRequest(command: number, cookie: bigint, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(requestBytes)
  bytes.writeUInt32BE(requestMagic, 0)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(cookie, 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}

/** What a socket has brought, handed out by length to one taker at a time. */
class Inbox {
  #queue = new ByteQueue()
  #where: string
  #wake: (() => void) | undefined
  #ended = false

  constructor(socket: Socket, where: string) {
    this.#where = where
    socket.on('data', piece => {
      this.#queue.push(piece)
      this.#wake?.()
    })
    socket.on('error', () => {
      // 'close' follows; whoever waits then learns that no more will come.
    })
    socket.on('close', () => {
      this.#ended = true
      this.#wake?.()
    })
  }

  async take(length: number): Promise<Buffer> {
    for (;;) {
      const bytes = this.#queue.take(length)
      if (bytes !== undefined) return bytes
      if (this.#ended) throw this.error('the server hung up')
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  error(why: string): BootswarmError {
    return new BootswarmError('ERR_NBD_PROTOCOL', `${this.#where}: ${why}`)
  }
}
