import { createServer, type Server, type Socket } from 'node:net'
import { BootswarmError, limits, messageOf, type Logger } from '../base/index.ts'
import { listen, parseNbdAddress, type NbdAddress } from '../nbd/index.ts'

/** What the machine's own root may ask of its agent (docs/hand-over.md). */
export interface ControlHandlers {
  readonly status: () => Readonly<Record<string, unknown>>
  /** Gives up the sole right to the disk, which device-mapper wants. */
  readonly prepare: () => Promise<void>
  /** The machine reads and writes through the agent no more: makes that durable. */
  readonly seal: () => Promise<void>
  /** The NBD socket is not needed any more. */
  readonly release: () => Promise<void>
}

const requests = ['status', 'prepare', 'seal', 'release'] as const
type Request = (typeof requests)[number]

/**
 * A socket that only the owner's processes on this machine can open: a request is a word and a
 * newline, its answer one JSON object and a newline, `ok` first.
 */
export class ControlSocket {
  readonly #server: Server
  readonly #handlers: ControlHandlers
  readonly #logger: Logger
  readonly #clients = new Set<Socket>()
  #cleanUp: (() => Promise<void>) | undefined
  /** One request after the other, whoever asks. */
  #work: Promise<unknown> = Promise.resolve()

  private constructor(handlers: ControlHandlers, logger: Logger) {
    this.#handlers = handlers
    this.#logger = logger
    this.#server = createServer(socket => this.#welcome(socket))
    this.#server.maxConnections = limits.controlClientsMax
  }

  /** `address` is `unix:PATH`. ERR_ADDRESS_INVALID, ERR_ADDRESS_IN_USE. */
  static async start(
    address: string,
    handlers: ControlHandlers,
    logger: Logger
  ): Promise<ControlSocket> {
    const parsed = parseControlAddress(address)
    const control = new ControlSocket(handlers, logger)
    const listening = await listen(control.#server, parsed)
    control.#cleanUp = () => listening.cleanUp()
    return control
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const client of this.#clients) client.destroy()
    await closed
    await this.#cleanUp?.()
  }

  #welcome(socket: Socket): void {
    this.#clients.add(socket)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    socket.on('close', () => this.#clients.delete(socket))
    socket.on('data', (piece: string) => {
      text += piece
      if (text.length > limits.controlLineBytesMax) socket.destroy()
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        this.#work = this.#work.then(() => this.#answer(socket, line.trim()))
      }
    })
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    const answer = await this.#perform(line).then(
      facts => ({ ok: true, ...facts }),
      (error: unknown) => {
        this.#logger.warn('a control request failed', { request: line, error: String(error) })
        const code = error instanceof BootswarmError ? error.code : 'ERR_INTERNAL'
        return { ok: false, code, message: messageOf(error) }
      }
    )
    if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`)
  }

  async #perform(line: string): Promise<Readonly<Record<string, unknown>>> {
    if (!isRequest(line)) {
      throw new BootswarmError('ERR_USAGE', `'${line}' is none of ${requests.join(', ')}`)
    }
    if (line !== 'status') await this.#handlers[line]()
    return this.#handlers.status()
  }
}

/** ERR_ADDRESS_INVALID for anything but a local socket: nobody in the network may take a disk away. */
export function parseControlAddress(address: string): NbdAddress {
  if (address.startsWith('unix:')) return parseNbdAddress(address)
  throw new BootswarmError(
    'ERR_ADDRESS_INVALID',
    `--control ${address} is no socket of this machine's own; write unix:PATH`
  )
}

function isRequest(text: string): text is Request {
  return requests.some(request => request === text)
}
