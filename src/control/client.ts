import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import { BootswarmError, limits, systemErrorCode } from '../base/index.ts'
import type { SeedStatus } from './status.ts'

export const statusPath = '/v1/status'

/** Where the seed of a store answers to commands on the same host. */
export function controlSocketPath(storeDir: string): string {
  return join(resolve(storeDir), 'seed.sock')
}

/**
 * A store directory, or the `http://HOST:PORT` of a seed elsewhere. Throws ERR_SEED_NOT_RUNNING, and
 * ERR_ADDRESS_INVALID for any other URL.
 */
export async function askSeed(storeOrUrl: string): Promise<SeedStatus> {
  const isUrl = /^[a-z]+:\/\//i.test(storeOrUrl)
  const options = isUrl ? {} : { socketPath: controlSocketPath(storeOrUrl) }
  const url = URL.parse(statusPath, isUrl ? storeOrUrl : 'http://seed')
  if (url?.protocol !== 'http:') {
    throw new BootswarmError('ERR_ADDRESS_INVALID', `${storeOrUrl} is no http://HOST:PORT`)
  }
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const message = isUrl ? noAnswer(storeOrUrl) : whyNoAnswer(storeOrUrl, cause)
      reject(new BootswarmError('ERR_SEED_NOT_RUNNING', message, { cause }))
    }
    const signal = AbortSignal.timeout(limits.controlRequestMs)
    const sent = request(url, { ...options, signal }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
        if (body.length > limits.controlAnswerBytesMax) sent.destroy(new Error('answer too long'))
      })
      response.on('error', fail)
      response.on('end', () => {
        try {
          if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`)
          resolve(parseStatus(body))
        } catch (cause) {
          fail(cause)
        }
      })
    })
    sent.on('error', fail)
    sent.end()
  })
}

function noAnswer(where: string): string {
  return `no seed answers on ${where}; start one with: bootswarm seed --store DIR`
}

function whyNoAnswer(storeDir: string, cause: unknown): string {
  if (systemErrorCode(cause) === 'EACCES') {
    return `this user may not ask the seed of the store ${storeDir}; be the seed's user, or root`
  }
  if (existsSync(storeDir)) return noAnswer(`the store ${storeDir}`)
  return `no seed can be asked: the store ${storeDir} does not exist; name the seed's with --store`
}

/** Other programs answer on ports too; only the outline tells a seed. */
function parseStatus(body: string): SeedStatus {
  const status = JSON.parse(body) as SeedStatus | null
  if (typeof status?.seed !== 'object' || !Array.isArray(status.machines)) {
    throw new Error('what answers is no seed')
  }
  return status
}
