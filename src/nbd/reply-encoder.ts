import { BootswarmError } from '../base/index.ts'
import type { Reply } from './request-handler.ts'
import {
  encodeBlockStatus,
  encodeDataHeader,
  encodeErrorChunk,
  encodeHole,
  encodeNone,
  encodeSimpleReply
} from './reply-wire.ts'
import { commands, nameOf, replyErrors, type HeaderStyle, type Request } from './wire.ts'

/** The bytes of a reply, in pieces: payloads are not copied. */
export function encodeReply(style: HeaderStyle, request: Request, reply: Reply): Uint8Array[] {
  if (style === 'simple') return simpleReply(request, reply)
  const chunk = (done: boolean) => ({ style, request, done })
  if (reply.error !== replyErrors.NONE) {
    return [encodeErrorChunk(chunk(true), reply.error, messageOf(reply))]
  }
  const { content = [], statuses = [] } = reply
  if (content.length > 0) {
    return content.flatMap((piece, index) => {
      const head = chunk(index === content.length - 1)
      if (piece.kind === 'hole') return [encodeHole(head, piece.offset, piece.length)]
      return [encodeDataHeader(head, piece.offset, piece.bytes.length), piece.bytes]
    })
  }
  if (statuses.length > 0) {
    return statuses.map(({ context, extents }, index) =>
      encodeBlockStatus(chunk(index === statuses.length - 1), context, extents)
    )
  }
  return [encodeDone(style, request)]
}

/** What says that all went well where there is nothing to give back. */
export function encodeDone(style: HeaderStyle, request: Request): Buffer {
  // A simple reply is shorter, and allowed beside structured ones for all but a READ.
  if (style === 'simple' || (style === 'structured' && request.command !== commands.READ)) {
    return encodeSimpleReply(replyErrors.NONE, request.cookie)
  }
  return encodeNone({ style, request, done: true })
}

/** What stands before the bytes of a READ that are sent in one piece. */
export function encodeReadHeader(style: HeaderStyle, request: Request): Buffer {
  if (style === 'simple') return encodeSimpleReply(replyErrors.NONE, request.cookie)
  return encodeDataHeader({ style, request, done: true }, request.offset, request.length)
}

function simpleReply({ cookie }: Request, { error, content = [] }: Reply): Uint8Array[] {
  const header = encodeSimpleReply(error, cookie)
  if (error !== replyErrors.NONE) return [header]
  return [
    header,
    ...content.map(piece => (piece.kind === 'data' ? piece.bytes : Buffer.alloc(piece.length)))
  ]
}

/** Our own errors are one line for people; others could say anything. */
function messageOf({ error, cause }: Reply): string {
  return cause instanceof BootswarmError ? cause.message : nameOf(replyErrors, error)
}
