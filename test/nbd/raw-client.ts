import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import {
  clientFlagBytes,
  infoQueryBytes,
  optionBytes,
  READ,
  requestBytesOf,
  type RawRequest
} from './client-bytes.ts'

export interface OptionReply {
  readonly option: number
  readonly reply: number
  readonly data: Buffer
}

export interface RawReply {
  readonly error: number
  readonly cookie: bigint
}

export interface RawChunk {
  readonly done: boolean
  readonly type: number
  readonly cookie: bigint
  readonly data: Buffer
}

/** An NBD client that does what a test tells it to, decent or not. */
export class RawClient {
  readonly socket: Socket
  #received: Buffer[] = []
  #length = 0
  #ended = false
  readonly #waiting = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (piece: Buffer) => {
      this.#received.push(piece)
      this.#length += piece.length
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  request(request: RawRequest): void {
    this.send(requestBytesOf(request))
  }

  /** Rejects when the server closes before so many bytes have come. */
  async receive(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#ended) throw new Error(`closed ${length - this.#length} bytes early`)
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
    const all = Buffer.concat(this.#received)
    this.#received = [all.subarray(length)]
    this.#length -= length
    return all.subarray(0, length)
  }

  async optionReply(): Promise<OptionReply> {
    const header = await this.receive(20)
    const data = await this.receive(header.readUInt32BE(16))
    return { option: header.readUInt32BE(8), reply: header.readUInt32BE(12), data }
  }

  async reply(): Promise<RawReply> {
    const bytes = await this.receive(16)
    if (bytes.readUInt32BE(0) !== 0x67446698) throw new Error('not a simple reply')
    return { error: bytes.readUInt32BE(4), cookie: bytes.readBigUInt64BE(8) }
  }

  /** One chunk of a reply; its header is that of EXTENDED_HEADERS or of STRUCTURED_REPLY. */
  async chunk(extended = false): Promise<RawChunk> {
    const header = await this.receive(extended ? 32 : 20)
    const magic = extended ? 0x6e8a278c : 0x668e33ef
    if (header.readUInt32BE(0) !== magic) throw new Error('not a chunk')
    const length = extended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16)
    return {
      done: header.readUInt16BE(4) === 1,
      type: header.readUInt16BE(6),
      cookie: header.readBigUInt64BE(8),
      data: await this.receive(length)
    }
  }

  async read(offset: number, length: number, cookie = 7n): Promise<Buffer> {
    this.request({ command: READ, offset, length, cookie })
    const reply = await this.reply()
    if (reply.error !== 0 || reply.cookie !== cookie) {
      throw new Error(`read answered ${reply.error} to ${reply.cookie}`)
    }
    return this.receive(length)
  }

  async closed(): Promise<void> {
    if (!this.#ended) await once(this.socket, 'close')
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** `address` as `NbdServer.address` gives it. */
export async function rawClient(t: ExecutionContext, address: string): Promise<RawClient> {
  const socket = address.startsWith('unix:')
    ? connect(address.slice('unix:'.length))
    : connect({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) })
  t.teardown(() => socket.destroy())
  const client = new RawClient(socket)
  await once(socket, 'connect')
  return client
}

/** Past the greeting, flags sent: ready for options. */
export async function haggler(t: ExecutionContext, address: string): Promise<RawClient> {
  const client = await rawClient(t, address)
  await client.receive(18)
  client.send(clientFlagBytes(3))
  return client
}

/** Past the handshake, in which `before` comes first: ready for requests. */
export async function transmitter(
  t: ExecutionContext,
  address: string,
  name = '',
  ...before: readonly Uint8Array[]
): Promise<RawClient> {
  const client = await haggler(t, address)
  client.send(...before)
  client.send(optionBytes(7, infoQueryBytes(name)))
  for (;;) {
    const { option, reply } = await client.optionReply()
    if (option !== 7) continue
    if (reply === 1) return client
    if (reply !== 3) throw new Error(`NBD_OPT_GO answered ${reply}`)
  }
}
