import { BootswarmError } from '../base/index.ts'
import type { BootCacheInit } from '../netboot/index.ts'
import { parseHostPort } from './host-port.ts'

export interface BootCacheOptions {
  readonly netbootCache?: string
  readonly netbootHttp: string
  readonly netbootFrom?: string
}

/** Undefined without --netboot-cache. ERR_USAGE naming the option. */
export function bootCacheOf(options: BootCacheOptions): Omit<BootCacheInit, 'logger'> | undefined {
  const { netbootCache: folder, netbootHttp, netbootFrom = '' } = options
  if (folder === undefined) {
    if (netbootFrom === '') return undefined
    throw new BootswarmError('ERR_USAGE', '--netboot-from goes with --netboot-cache')
  }
  const isPort = /^\d{1,5}$/.test(netbootHttp)
  const http = parseHostPort('--netboot-http', isPort ? `0.0.0.0:${netbootHttp}` : netbootHttp)
  const urls = netbootFrom.split(',').filter(url => url !== '')
  return { folder, http, sources: urls.map(url => httpUrl('--netboot-from', url)) }
}

/** `http://HOST:PORT`, without a slash at the end; ERR_USAGE naming the option. */
export function httpUrl(option: string, text: string): string {
  const plain = text.replace(/\/$/, '')
  if (/^http:\/\/([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/.test(plain)) return plain
  throw new BootswarmError('ERR_USAGE', `${option} ${text} is no http://HOST:PORT`)
}
