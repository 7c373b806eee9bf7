import { open } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { BootswarmError, limits, systemErrorCode, type Logger } from '../base/index.ts'
import { rangeOf } from './byte-range.ts'
import { DownloadTurns } from './download-turns.ts'

/** What a request is answered with; undefined is "not found". */
export type Answer =
  | { readonly kind: 'text'; readonly text: string }
  /** `tag` names its bytes for ever: whoever goes on with half of a file gets the other half of it. */
  | { readonly kind: 'file'; readonly path: string; readonly tag: string | undefined }

export interface FileServerInit {
  readonly host: string
  readonly port: number
  /** How the address is called where it was given, for errors. */
  readonly option: string
  readonly answer: (
    path: string,
    query: URLSearchParams,
    request: Asker
  ) => Promise<Answer | undefined>
  readonly logger: Logger
}

export interface Asker {
  /** A number, IPv4 where it is one. */
  readonly address: string
  /** `http://HOST:PORT` as the client calls this server. */
  readonly server: string
}

export interface FileServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves what machines load before they have an agent: GET and HEAD, one range of bytes, so many
 * downloads at a time, and nobody waited for who takes nothing. ERR_ADDRESS_IN_USE, ERR_ADDRESS_INVALID.
 */
export async function startFileServer(init: FileServerInit): Promise<FileServer> {
  const turns = new DownloadTurns(limits.netbootDownloadsMax, limits.netbootWaitingMax)
  const server = createServer((request, response) => {
    respond(init, turns, request, response).catch((error: unknown) => {
      // Somebody who hung up; or a file that went away, which nobody can be told any more.
      init.logger.debug('a download ended early', { url: request.url, error })
      response.destroy()
    })
  })
  server.requestTimeout = limits.netbootSilentMs
  server.headersTimeout = limits.netbootSilentMs
  server.setTimeout(limits.netbootSilentMs)
  server.maxConnections = limits.netbootWaitingMax + limits.netbootDownloadsMax
  await listen(server, init)
  const { address: host, port } = server.address() as AddressInfo
  return {
    host,
    port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

async function respond(
  { answer, logger }: FileServerInit,
  turns: DownloadTurns,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const isHead = request.method === 'HEAD'
  if (!isHead && request.method !== 'GET') return end(response, 405, 'only GET and HEAD\n')
  const url = URL.parse(request.url ?? '/', 'http://server')
  if (url === null) return end(response, 400, 'that is no address\n')
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const asker = { address, server: serverOf(request) }
  const found = await answer(url.pathname, url.searchParams, asker)
  logger.debug('a machine asked', { address, path: url.pathname, found: found?.kind ?? 'nothing' })
  if (found === undefined) return end(response, 404, 'there is no such file\n')
  if (found.kind === 'text') return end(response, 200, isHead ? '' : found.text)
  if (isHead) return sendFile(found, request, response)
  const leave = await turns.enter()
  if (leave === undefined) return end(response, 503, 'too many are loading; ask again\n')
  try {
    if (!response.destroyed) await sendFile(found, request, response)
  } finally {
    leave()
  }
}

async function sendFile(
  { path, tag }: Extract<Answer, { kind: 'file' }>,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return end(response, 404, 'there is no such file\n')
  try {
    const { size } = await handle.stat()
    // Whoever has part of other bytes under this name gets all of these.
    const condition = request.headers['if-range']
    const isSame = condition === undefined || condition === `"${tag}"`
    const range = rangeOf(isSame ? request.headers.range : undefined, size)
    response.setHeader('accept-ranges', 'bytes')
    response.setHeader('content-type', 'application/octet-stream')
    if (tag !== undefined) response.setHeader('etag', `"${tag}"`)
    if (range === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${size}`)
      return end(response, 416, 'the file is shorter\n')
    }
    const { offset, length } = range ?? { offset: 0, length: size }
    response.setHeader('content-length', length)
    if (range !== undefined) {
      response.setHeader('content-range', `bytes ${offset}-${offset + length - 1}/${size}`)
    }
    response.writeHead(range === undefined ? 200 : 206)
    if (request.method === 'HEAD' || length === 0) {
      response.end()
      return
    }
    const bytes = handle.createReadStream({
      start: offset,
      end: offset + length - 1,
      autoClose: false
    })
    await pipeline(bytes, response)
  } finally {
    await handle.close()
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}

/** What the client has written as our name is repeated to it in scripts: only a host and a port. */
function serverOf(request: IncomingMessage): string {
  const { host = '' } = request.headers
  if (/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host)) return `http://${host}`
  const { localAddress = '', localPort } = request.socket
  const plain = localAddress.replace(/^::ffff:/, '')
  return `http://${plain.includes(':') ? `[${plain}]` : plain}:${localPort}`
}

function listen(server: Server, { host, port, option }: FileServerInit): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', cause => {
      const isUsed = systemErrorCode(cause) === 'EADDRINUSE'
      reject(
        new BootswarmError(
          isUsed ? 'ERR_ADDRESS_IN_USE' : 'ERR_ADDRESS_INVALID',
          isUsed
            ? `${option} ${host}:${port} is served by another process; stop it or choose another port`
            : `cannot listen on ${option} ${host}:${port}: ${cause.message}`,
          { cause }
        )
      )
    })
    server.listen({ host, port }, () => resolve())
  })
}
