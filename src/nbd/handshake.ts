import type { ByteQueue } from './byte-queue.ts'
import { findExport, flagsOf, type NbdExport } from './exports.ts'
import type { NbdLimits } from './nbd-limits.ts'
import {
  clientFlags,
  clientFlagsBytes,
  decodeInfoQuery,
  decodeOptionHeader,
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportNameReply,
  encodeGreeting,
  encodeOptionReply,
  encodeServerEntry,
  encodeTextInfo,
  handshakeFlags,
  infos,
  optionHeaderBytes,
  optionReplies,
  options,
  stringBytesMax,
  type InfoQuery,
  type OptionHeader
} from './wire.ts'

export type HandshakeStep =
  /** Send the bytes and go on. */
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  /** Send the bytes; whatever follows from the client are requests for `target`. */
  | { readonly kind: 'transmission'; readonly bytes: Buffer; readonly target: NbdExport }
  /** Send the bytes, then close: the client wants to leave. */
  | { readonly kind: 'goodbye'; readonly bytes: Buffer }
  /** Close at once: there is no way to tell the client what is wrong. */
  | { readonly kind: 'violation'; readonly reason: string }

/** Any alignment is served; 4 KiB is what disk and page cache like best. */
const minimumBlockBytes = 1
const preferredBlockBytes = 4096

/**
 * One client's handshake (fixed newstyle), from its flags to the choice of an export. It turns bytes
 * into steps and does nothing else: who calls it sends, closes and keeps the time.
 */
export class Handshake {
  readonly #exports: readonly NbdExport[]
  readonly #limits: NbdLimits
  /** Undefined until the client has sent its flags. */
  #flags: number | undefined
  /** The header of the option whose data has not all arrived. */
  #header: OptionHeader | undefined
  #optionsSeen = 0

  constructor(exports: readonly NbdExport[], limits: NbdLimits) {
    this.#exports = exports
    this.#limits = limits
  }

  /** What the server says before the client says anything. */
  greeting(): Buffer {
    return encodeGreeting(handshakeFlags.FIXED_NEWSTYLE | handshakeFlags.NO_ZEROES)
  }

  /** Undefined until more bytes are here. */
  next(bytes: ByteQueue): HandshakeStep | undefined {
    if (this.#flags === undefined) {
      const violation = this.#takeFlags(bytes)
      if (violation !== undefined) return violation
      if (this.#flags === undefined) return undefined
    }
    if (this.#header === undefined) {
      const headerBytes = bytes.take(optionHeaderBytes)
      if (headerBytes === undefined) return undefined
      const header = decodeOptionHeader(headerBytes)
      const violation = this.#judgeHeader(header)
      if (violation !== undefined || header === undefined) return violation
      this.#header = header
    }
    const { option, length } = this.#header
    const data = bytes.take(length)
    if (data === undefined) return undefined
    this.#header = undefined
    return this.#answer(option, data)
  }

  #takeFlags(bytes: ByteQueue): HandshakeStep | undefined {
    const flagBytes = bytes.take(clientFlagsBytes)
    if (flagBytes === undefined) return undefined
    const flags = flagBytes.readUInt32BE(0)
    const known = clientFlags.FIXED_NEWSTYLE | clientFlags.NO_ZEROES
    if ((flags & ~known) !== 0) return violation(`unknown client flags 0x${flags.toString(16)}`)
    this.#flags = flags
    return undefined
  }

  #judgeHeader(header: OptionHeader | undefined): HandshakeStep | undefined {
    if (header === undefined) return violation('an option without its magic')
    if (++this.#optionsSeen > this.#limits.nbdOptionsMax) {
      return violation(`more than ${this.#limits.nbdOptionsMax} options`)
    }
    if (header.length > this.#limits.nbdOptionBytesMax) {
      return violation(`an option of ${header.length} bytes`)
    }
    // Without the "fixed" bit a client cannot read option replies, so one option is all it may send.
    if (!this.#clientSaid(clientFlags.FIXED_NEWSTYLE) && header.option !== options.EXPORT_NAME) {
      return violation('an option that needs fixed newstyle negotiation')
    }
    return undefined
  }

  #answer(option: number, data: Buffer): HandshakeStep {
    switch (option) {
      case options.EXPORT_NAME:
        return this.#chooseByName(data)
      case options.ABORT:
        return { kind: 'goodbye', bytes: encodeOptionReply(option, optionReplies.ACK) }
      case options.LIST:
        return reply(data.length === 0 ? this.#list() : refusal(option, 'ERR_INVALID'))
      case options.INFO:
      case options.GO:
        return this.#inform(option, data)
      default:
        return reply(refusal(option, 'ERR_UNSUP'))
    }
  }

  #chooseByName(data: Buffer): HandshakeStep {
    if (data.length > stringBytesMax) return violation(`an export name of ${data.length} bytes`)
    const target = findExport(this.#exports, data.toString('utf8'))
    if (target === undefined) return violation('an export that does not exist')
    const noZeroes = this.#clientSaid(clientFlags.NO_ZEROES)
    const bytes = encodeExportNameReply(target.device.size, flagsOf(target), noZeroes)
    return { kind: 'transmission', bytes, target }
  }

  #list(): Buffer {
    const entries = this.#exports.map(({ name, description }) =>
      encodeOptionReply(options.LIST, optionReplies.SERVER, encodeServerEntry(name, description))
    )
    return Buffer.concat([...entries, encodeOptionReply(options.LIST, optionReplies.ACK)])
  }

  #inform(option: number, data: Buffer): HandshakeStep {
    const query = decodeInfoQuery(data)
    if (query === undefined) return reply(refusal(option, 'ERR_INVALID'))
    const target = findExport(this.#exports, query.name)
    if (target === undefined) return reply(refusal(option, 'ERR_UNKNOWN'))
    const replies = this.#describe(target, query).map(info =>
      encodeOptionReply(option, optionReplies.INFO, info)
    )
    const bytes = Buffer.concat([...replies, encodeOptionReply(option, optionReplies.ACK)])
    return option === options.GO ? { kind: 'transmission', bytes, target } : reply(bytes)
  }

  /** Size and flags always, the rest to those who ask for it. */
  #describe(target: NbdExport, query: InfoQuery): Buffer[] {
    const described = [encodeExportInfo(target.device.size, flagsOf(target))]
    if (query.infos.has(infos.NAME)) described.push(encodeTextInfo(infos.NAME, target.name))
    if (query.infos.has(infos.DESCRIPTION)) {
      described.push(encodeTextInfo(infos.DESCRIPTION, target.description))
    }
    if (query.infos.has(infos.BLOCK_SIZE)) {
      const payloadMax = this.#limits.nbdRequestBytesMax
      described.push(encodeBlockSizeInfo(minimumBlockBytes, preferredBlockBytes, payloadMax))
    }
    return described
  }

  #clientSaid(flag: number): boolean {
    return ((this.#flags ?? 0) & flag) !== 0
  }
}

function reply(bytes: Buffer): HandshakeStep {
  return { kind: 'reply', bytes }
}

function violation(reason: string): HandshakeStep {
  return { kind: 'violation', reason }
}

function refusal(option: number, error: keyof typeof optionReplies): Buffer {
  return encodeOptionReply(option, optionReplies[error])
}
