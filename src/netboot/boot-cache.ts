import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BootswarmError, limits, outsideAddresses, type Logger } from '../base/index.ts'
import { fileError, partialPathOf } from '../image/index.ts'
import { hashInName, hashOfFile, manifestBytesMax, parseBootFiles } from './boot-folder.ts'
import type { BootFile } from './boot-folder.ts'
import { startFileServer, type FileServer } from './file-server.ts'

export interface BootCacheInit {
  /** Made if absent; files in it have the names of a netboot folder. */
  readonly folder: string
  readonly http: { readonly host: string; readonly port: number }
  /** Where to load what is missing, `http://HOST:PORT`, in this order. */
  readonly sources: readonly string[]
  readonly logger: Logger
  /** Whoever put them there has just checked what is in the folder: it is not hashed once more. */
  readonly isChecked?: boolean | undefined
}

/** What a machine tells the seed of it. */
export interface BootOffer {
  readonly bootUrls: readonly string[]
  readonly bootFiles: readonly string[]
}

const filesMax = 8
const urlsMax = 4

/**
 * What a machine that is up has of the files that others boot, served to them. Each is hashed before it
 * is offered, unless that was just done: a file that is not what its name says is never sent.
 */
export class BootCache {
  readonly #init: BootCacheInit
  readonly #stopping = new AbortController()
  #good = new Map<string, string>()
  #server!: FileServer

  /** ERR_ADDRESS_IN_USE, ERR_ADDRESS_INVALID; a folder that cannot be read is named. */
  static async start(init: BootCacheInit): Promise<BootCache> {
    const cache = new BootCache(init)
    cache.#server = await startFileServer({
      ...init.http,
      option: '--netboot-http',
      answer: async path => {
        const tag = cache.#good.get(path.slice(1))
        return tag === undefined ? undefined : { kind: 'file', path: join(init.folder, path), tag }
      },
      logger: init.logger
    })
    try {
      await mkdir(init.folder, { recursive: true })
      for (const name of (await readdir(init.folder)).slice(0, filesMax)) await cache.#check(name)
      return cache
    } catch (error) {
      await cache.close()
      throw fileError(error, init.folder)
    }
  }

  private constructor(init: BootCacheInit) {
    this.#init = init
  }

  /** Addresses are those of now: a machine may get another. */
  offer(): BootOffer {
    const { host, port } = this.#server
    const hosts = host === '0.0.0.0' || host === '::' ? hostAddresses(host) : [host]
    const bootUrls = hosts.map(name => `http://${name.includes(':') ? `[${name}]` : name}:${port}`)
    return { bootUrls: bootUrls.slice(0, urlsMax), bootFiles: [...this.#good.keys()] }
  }

  /** Loads what the sources serve now and is not here. Rejects only for what is wrong here. */
  async fill(): Promise<void> {
    for (const source of this.#init.sources) {
      try {
        const files = parseBootFiles(await this.#manifest(source), source)
        for (const file of [files.archive, files.kernel, files.firstStage]) {
          if (!this.#good.has(file.name)) await this.#load(source, file)
        }
        return
      } catch (error) {
        if (this.#stopping.signal.aborted) return
        this.#init.logger.info('what others boot was not loaded', { source, error })
      }
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#server.close()
  }

  async #check(name: string): Promise<void> {
    const wanted = hashInName(name)
    if (wanted === undefined) return
    const { folder, isChecked } = this.#init
    if (isChecked === true || (await hashOfFile(join(folder, name))) === wanted) {
      this.#good.set(name, wanted)
    } else this.#init.logger.warn('a file that others boot is damaged and not served', { name })
  }

  async #manifest(source: string): Promise<string> {
    const response = await this.#ask(`${source}/netboot.json`)
    const body = (response.body ?? []) as AsyncIterable<Uint8Array>
    const pieces: Uint8Array[] = []
    let length = 0
    for await (const piece of body) {
      pieces.push(piece)
      length += piece.length
      if (length > manifestBytesMax) {
        throw new BootswarmError('ERR_NETBOOT_INVALID', `${source} sends no manifest`)
      }
    }
    return Buffer.concat(pieces).toString()
  }

  async #load(source: string, { name, sha256, bytes }: BootFile): Promise<void> {
    const path = join(this.#init.folder, name)
    const partial = partialPathOf(path)
    const digest = createHash('sha256')
    let length = 0
    const checking = new Transform({
      transform(piece: Buffer, _encoding, done) {
        digest.update(piece)
        length += piece.length
        done(length > bytes ? new Error(`${source} sends more than ${name} has`) : null, piece)
      }
    })
    try {
      const { body } = await this.#ask(`${source}/${name}`)
      if (body === null) throw new Error(`${source} sends nothing`)
      await pipeline(body, checking, createWriteStream(partial, { flags: 'wx' }))
      if (digest.digest('hex') !== sha256) throw new Error(`${source} sends another ${name}`)
      await rename(partial, path)
      this.#good.set(name, sha256)
    } finally {
      await rm(partial, { force: true })
    }
  }

  async #ask(url: string): Promise<Response> {
    const late = AbortSignal.timeout(limits.netbootLoadMs)
    const response = await fetch(url, { signal: AbortSignal.any([late, this.#stopping.signal]) })
    if (response.status === 200) return response
    throw new BootswarmError('ERR_NETBOOT_INVALID', `${url} answers ${response.status}`)
  }
}

function hostAddresses(bound: string): string[] {
  return outsideAddresses()
    .filter(({ address }) => !address.startsWith('fe80:'))
    .filter(({ family }) => bound === '::' || family === 'IPv4')
    .map(({ address }) => address)
}
