import { yamux } from '@chainsafe/libp2p-yamux'
import type { MessageStream, Stream } from '@libp2p/interface'
import { BootswarmError } from '../base/index.ts'
import { TlsStream } from './tls/tls-stream.ts'
import {
  writeYamuxDataHead,
  yamuxFlags,
  yamuxHeadBytes,
  yamuxTypes,
  YamuxReader,
  type TakePayload,
  type YamuxHeader
} from './yamux-reader.ts'

// Streams, windows and their ends are @chainsafe/libp2p-yamux's; the bytes of a link go past it. There each
// frame would be waited for, put into lists and sent round as an event, and half of what a byte costs was
// that (docs/bench-wire.md). It leans on how that version (pinned) holds its windows; test/swarm/quick-yamux.test.ts
// says so when that changes. Any other yamux can be at the other end.

/** What is used of a stream of @chainsafe/libp2p-yamux beyond the interface. */
interface YamuxStream extends Stream {
  readonly streamId: number
  /** 0 and 2 while the next frame must carry a flag. */
  readonly state: number
  sendWindowCapacity: number
  recvWindow: number
  recvWindowCapacity: number
  onData(bytes: Uint8Array): void
  onMuxerNeedsDrain(): void
}

interface YamuxMuxer {
  readonly status: string
  _newStream(...how: readonly unknown[]): YamuxStream
  readonly streams: readonly YamuxStream[]
  onData(data: Uint8Array | Iterable<Uint8Array>): void
  handleFrame(frame: { readonly header: YamuxHeader; readonly data?: Uint8Array }): void
  abort(error: Error): void
}

type YamuxInit = Parameters<typeof yamux>[0]

const quickStreams = new WeakMap<Stream, QuickStream>()

/** What a new stream may send before its first window update, and a frame that opens one. */
export const firstWindowBytes = 256 * 1024

export function quickYamux(init: YamuxInit): ReturnType<typeof yamux> {
  const make = yamux(init)
  return () => {
    const factory = make()
    const create = factory.createStreamMuxer.bind(factory)
    return Object.assign(factory, {
      createStreamMuxer(connection: MessageStream) {
        const muxer = create(connection)
        shorten(muxer as unknown as YamuxMuxer, connection)
        return muxer
      }
    })
  }
}

/** The short way to and from a stream; undefined for one that has none. */
export function quickStream(stream: Stream): QuickStream | undefined {
  return quickStreams.get(stream)
}

/** A stream whose bytes need not pass through libp2p's events and lists. */
export class QuickStream {
  readonly #stream: YamuxStream
  readonly #muxer: YamuxMuxer
  readonly #below: TlsStream | undefined
  #take: TakePayload | undefined

  constructor(stream: YamuxStream, muxer: YamuxMuxer, below: TlsStream | undefined) {
    this.#stream = stream
    this.#muxer = muxer
    this.#below = below
  }

  get isTaken(): boolean {
    return this.#take !== undefined
  }

  /**
   * `take` is given what comes in, valid until it returns, instead of the 'message' event; that goes on for
   * what had to be kept.
   */
  takeDirectly(take: TakePayload): void {
    this.#take = take
  }

  /** How much the peer may send before it is told that it may send more; it hears of it with the next update. */
  set windowBytes(bytes: number) {
    this.#stream.recvWindow = bytes
  }

  readonly receive = (bytes: Uint8Array): void => {
    const stream = this.#stream
    const isNext = stream.readStatus === 'readable' && stream.readBufferLength === 0
    if (this.#take !== undefined && isNext) this.#take(bytes)
    else stream.onData(Uint8Array.from(bytes))
  }

  /**
   * Sends what lies in `block` up to `end`, behind room for yamux's head; whether more can be sent then.
   * The block belongs to the connection below from now on. Undefined, and nothing is sent, when it has to go the
   * long way: something waits already, or the peer's window is too small.
   */
  send(block: Buffer, end: number): boolean | undefined {
    const stream = this.#stream
    const length = end - yamuxHeadBytes
    const goesLongWay =
      this.#below === undefined ||
      stream.state === 0 ||
      stream.state === 2 ||
      stream.writeStatus !== 'writable' ||
      stream.writableNeedsDrain ||
      stream.writeBufferLength > 0 ||
      stream.sendWindowCapacity < length ||
      this.#muxer.status !== 'open'
    if (this.#below === undefined || goesLongWay) return undefined
    writeYamuxDataHead(block, stream.streamId, length)
    stream.sendWindowCapacity -= length
    const canSendMore = this.#below.sendBlock(block, end)
    if (!canSendMore) for (const each of this.#muxer.streams) each.onMuxerNeedsDrain()
    return canSendMore
  }
}

function shorten(muxer: YamuxMuxer, connection: MessageStream): void {
  const below = connection instanceof TlsStream ? connection : undefined
  const open = muxer._newStream.bind(muxer)
  muxer._newStream = (...how) => {
    const stream = open(...how)
    quickStreams.set(stream, new QuickStream(stream, muxer, below))
    return stream
  }
  const reader = new YamuxReader(header => takerOf(header, muxer))
  muxer.onData = data => {
    for (const piece of data instanceof Uint8Array ? [data] : data) reader.push(piece)
  }
  below?.takeDirectly(bytes => {
    try {
      reader.push(bytes)
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      muxer.abort(error)
      connection.abort(error)
    }
  })
}

function takerOf(header: YamuxHeader, muxer: YamuxMuxer): TakePayload {
  if (header.type !== yamuxTypes.data) {
    muxer.handleFrame({ header })
    return ignore
  }
  const stream = muxer.streams.find(({ streamId }) => streamId === header.streamID)
  const opens = (header.flag & yamuxFlags.syn) !== 0
  if (stream === undefined && !opens) return ignore
  if (header.length > (stream?.recvWindowCapacity ?? firstWindowBytes)) {
    throw new BootswarmError('ERR_PEER_PROTOCOL', 'a peer sends more than its window allows')
  }
  const quick = stream === undefined ? undefined : quickStreams.get(stream)
  if (stream === undefined || quick?.isTaken !== true || header.flag !== 0) {
    return wholeFrame(header, muxer)
  }
  stream.recvWindowCapacity -= header.length
  return quick.receive
}

/** The long way: the frame as one, bounded by the window. */
function wholeFrame(header: YamuxHeader, muxer: YamuxMuxer): TakePayload {
  const data = Buffer.allocUnsafe(header.length)
  let filled = 0
  const take = (bytes: Uint8Array): void => {
    data.set(bytes, filled)
    filled += bytes.length
    if (filled === data.length) muxer.handleFrame({ header, data })
  }
  if (header.length === 0) take(data)
  return take
}

function ignore(): void {
  // For a stream that has ended.
}
