import type { ByteQueue } from './byte-queue.ts'
import { matchingContexts, type MetaContext } from './contexts.ts'
import { findExport, flagsOf, type NbdExport, type NbdExports, type Terms } from './exports.ts'
import type { NbdLimits } from './nbd-limits.ts'
import {
  clientFlags,
  clientFlagsBytes,
  decodeInfoQuery,
  decodeMetaQuery,
  decodeOptionHeader,
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportNameReply,
  encodeGreeting,
  encodeMetaContext,
  encodeOptionReply,
  encodeServerEntry,
  encodeTextInfo,
  handshakeFlags,
  infos,
  optionHeaderBytes,
  optionReplies,
  options,
  stringBytesMax,
  type HeaderStyle,
  type InfoQuery,
  type OptionHeader
} from './wire.ts'

export type HandshakeStep =
  /** Send the bytes and go on. */
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  /** Send the bytes; then TLS begins, and inside it the options again. */
  | { readonly kind: 'secure'; readonly bytes: Buffer }
  /** Send the bytes; whatever follows from the client are requests for `target`. */
  | {
      readonly kind: 'transmission'
      readonly bytes: Buffer
      readonly target: NbdExport
      readonly terms: Terms
    }
  /** Send the bytes, then close: the client wants to leave. */
  | { readonly kind: 'goodbye'; readonly bytes: Buffer }
  /** Close at once: there is no way to tell the client what is wrong. */
  | { readonly kind: 'violation'; readonly reason: string }

/** Any alignment is served; 4 KiB is what disk and page cache like best. */
const minimumBlockBytes = 1
const preferredBlockBytes = 4096

/** Whether TLS is not offered, is to begin before anything else, or has begun. */
export type Security = 'none' | 'required' | 'begun'

/**
 * One client's handshake (fixed newstyle), from its flags to the choice of an export. It turns bytes
 * into steps and does nothing else: who calls it sends, closes, encrypts and keeps the time.
 */
export class Handshake {
  readonly #exports: NbdExports
  readonly #limits: NbdLimits
  #security: Security
  #stopping = false
  /** Undefined until the client has sent its flags. */
  #flags: number | undefined
  /** The header of the option whose data has not all arrived. */
  #header: OptionHeader | undefined
  #optionsSeen = 0
  #style: HeaderStyle = 'simple'
  /** What SET_META_CONTEXT chose, and for which export. */
  #selected: { readonly target: NbdExport; readonly contexts: readonly MetaContext[] } | undefined

  constructor(exports: NbdExports, limits: NbdLimits, security: Security = 'none') {
    this.#exports = exports
    this.#limits = limits
    this.#security = security
  }

  /** What the server says before the client says anything. */
  greeting(): Buffer {
    return encodeGreeting(handshakeFlags.FIXED_NEWSTYLE | handshakeFlags.NO_ZEROES)
  }

  /** From now on nothing is agreed on any more: the server is closing. */
  stop(): void {
    this.#stopping = true
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
    const step = this.#refuseAll(option) ?? this.#answer(option, data)
    // What came behind STARTTLS without encryption could have been put there by anybody.
    if (step.kind === 'secure' && bytes.length > 0)
      return violation('bytes between STARTTLS and TLS')
    return step
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

  /** What stands in the way of every option but ABORT, if anything does. */
  #refuseAll(option: number): HandshakeStep | undefined {
    if (option === options.ABORT) return undefined
    const needsTls = this.#security === 'required' && option !== options.STARTTLS
    if (!this.#stopping && !needsTls) return undefined
    // This option has no reply that could say so.
    if (option === options.EXPORT_NAME) {
      return violation(needsTls ? 'an export chosen without TLS' : 'the server is closing')
    }
    return refuse(option, this.#stopping ? 'ERR_SHUTDOWN' : 'ERR_TLS_REQD')
  }

  #answer(option: number, data: Buffer): HandshakeStep {
    switch (option) {
      case options.EXPORT_NAME:
        return this.#chooseByName(data)
      case options.ABORT:
        return { kind: 'goodbye', bytes: encodeOptionReply(option, optionReplies.ACK) }
      case options.LIST:
        return data.length === 0 ? reply(this.#list()) : refuse(option, 'ERR_INVALID')
      case options.STARTTLS:
        return this.#secure(data)
      case options.INFO:
      case options.GO:
        return this.#inform(option, data)
      case options.STRUCTURED_REPLY:
      case options.EXTENDED_HEADERS:
        return this.#chooseStyle(option, data)
      case options.LIST_META_CONTEXT:
      case options.SET_META_CONTEXT:
        return this.#contexts(option, data)
      default:
        return refuse(option, 'ERR_UNSUP')
    }
  }

  #secure(data: Buffer): HandshakeStep {
    const option = options.STARTTLS
    if (this.#security === 'none') return refuse(option, 'ERR_UNSUP')
    if (this.#security === 'begun' || data.length > 0) return refuse(option, 'ERR_INVALID')
    this.#security = 'begun'
    this.#style = 'simple'
    this.#selected = undefined
    return { kind: 'secure', bytes: encodeOptionReply(option, optionReplies.ACK) }
  }

  #chooseByName(data: Buffer): HandshakeStep {
    if (data.length > stringBytesMax) return violation(`an export name of ${data.length} bytes`)
    if (this.#style === 'extended') return violation('EXPORT_NAME after EXTENDED_HEADERS')
    const target = this.#find(data.toString('utf8'))
    if (target === undefined) return violation('an export that does not exist')
    const noZeroes = this.#clientSaid(clientFlags.NO_ZEROES)
    const terms = this.#termsFor(target)
    const bytes = encodeExportNameReply(target.device.size, flagsOf(target, terms), noZeroes)
    return { kind: 'transmission', bytes, target, terms }
  }

  #list(): Buffer {
    const entries = this.#exports().map(({ name, description }) =>
      encodeOptionReply(options.LIST, optionReplies.SERVER, encodeServerEntry(name, description))
    )
    return Buffer.concat([...entries, encodeOptionReply(options.LIST, optionReplies.ACK)])
  }

  #inform(option: number, data: Buffer): HandshakeStep {
    const query = decodeInfoQuery(data)
    if (query === undefined) return refuse(option, 'ERR_INVALID')
    const target = this.#find(query.name)
    if (target === undefined) return refuse(option, 'ERR_UNKNOWN')
    const terms = this.#termsFor(target)
    const replies = this.#describe(target, terms, query).map(info =>
      encodeOptionReply(option, optionReplies.INFO, info)
    )
    const bytes = Buffer.concat([...replies, encodeOptionReply(option, optionReplies.ACK)])
    return option === options.GO ? { kind: 'transmission', bytes, target, terms } : reply(bytes)
  }

  /** Size and flags always, the rest to those who ask for it. */
  #describe(target: NbdExport, terms: Terms, query: InfoQuery): Buffer[] {
    const described = [encodeExportInfo(target.device.size, flagsOf(target, terms))]
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

  #chooseStyle(option: number, data: Buffer): HandshakeStep {
    if (data.length > 0) return refuse(option, 'ERR_INVALID')
    if (option === options.EXTENDED_HEADERS) this.#style = 'extended'
    else if (this.#style === 'extended') return refuse(option, 'ERR_EXT_HEADER_REQD')
    else this.#style = 'structured'
    return reply(encodeOptionReply(option, optionReplies.ACK))
  }

  #contexts(option: number, data: Buffer): HandshakeStep {
    const setting = option === options.SET_META_CONTEXT
    // A query that fails deselects, too.
    if (setting) this.#selected = undefined
    const query = decodeMetaQuery(data)
    if (query === undefined || this.#style === 'simple') return refuse(option, 'ERR_INVALID')
    const target = this.#find(query.name)
    if (target === undefined) return refuse(option, 'ERR_UNKNOWN')
    const contexts = matchingContexts(target.device, query.queries, !setting)
    if (setting) this.#selected = { target, contexts }
    const replies = contexts.map(({ id, name }) => {
      // Only what was selected has a number.
      const context = encodeMetaContext(setting ? id : 0, name)
      return encodeOptionReply(option, optionReplies.META_CONTEXT, context)
    })
    return reply(Buffer.concat([...replies, encodeOptionReply(option, optionReplies.ACK)]))
  }

  /** Contexts that were selected for one export say nothing of another. */
  #termsFor(target: NbdExport): Terms {
    const selected = this.#selected?.target.name === target.name ? this.#selected.contexts : []
    return { style: this.#style, contexts: selected }
  }

  #find(name: string): NbdExport | undefined {
    return findExport(this.#exports(), name)
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

function refuse(option: number, error: keyof typeof optionReplies): HandshakeStep {
  return reply(encodeOptionReply(option, optionReplies[error]))
}
