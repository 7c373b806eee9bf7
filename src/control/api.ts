import { chmod, rm } from 'node:fs/promises'
import fastify, { type FastifyInstance } from 'fastify'
import { BootswarmError, messageOf, systemErrorCode } from '../base/index.ts'
import { askSeed, controlSocketPath, statusPath } from './client.ts'
import type { SeedStatus } from './status.ts'

export interface ControlApi {
  /** `http://HOST:PORT` as bound. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves the seed's status on the store's socket and over HTTP. Throws ERR_STORE_BUSY when a seed
 * runs on that store already, ERR_ADDRESS_IN_USE for the HTTP address and ERR_ADDRESS_INVALID for
 * either.
 */
export async function startControlApi(init: {
  readonly storeDir: string
  readonly http: { readonly host: string; readonly port: number }
  readonly status: () => SeedStatus
}): Promise<ControlApi> {
  const socketPath = controlSocketPath(init.storeDir)
  await takeOver(socketPath, init.storeDir)
  const local = api(init.status)
  const remote = api(init.status)
  try {
    await listenLocally(local, socketPath)
    const url = await listenHttp(remote, init.http)
    return {
      url,
      async close() {
        await Promise.all([local.close(), remote.close()])
        await rm(socketPath, { force: true })
      }
    }
  } catch (cause) {
    await Promise.all([local.close(), remote.close()])
    throw cause
  }
}

function api(status: () => SeedStatus): FastifyInstance {
  const app = fastify({ forceCloseConnections: true, requestTimeout: 10_000 })
  app.get(statusPath, () => status())
  return app
}

/** No socket, one that nobody serves, and a path too long to be one: the listening reports that. */
const nobodyListens = new Set(['ENOENT', 'ECONNREFUSED', 'EINVAL'])

/**
 * A socket left by a seed that was killed is in the way. Only one where nobody listens is: a seed
 * that is too busy to answer is alive.
 */
async function takeOver(socketPath: string, storeDir: string): Promise<void> {
  const cause = await askSeed(storeDir).then(
    () => undefined,
    (error: unknown) => (error instanceof BootswarmError ? error.cause : error)
  )
  if (!nobodyListens.has(systemErrorCode(cause) ?? '')) {
    throw new BootswarmError(
      'ERR_STORE_BUSY',
      `a seed already runs on the store ${storeDir}; stop it or use another --store`,
      { cause }
    )
  }
  await rm(socketPath, { force: true })
}

async function listenLocally(app: FastifyInstance, socketPath: string): Promise<void> {
  try {
    await app.listen({ path: socketPath })
    await chmod(socketPath, 0o600)
  } catch (cause) {
    throw new BootswarmError(
      'ERR_ADDRESS_INVALID',
      `cannot listen on ${socketPath}: ${messageOf(cause)}; use another --store`,
      { cause }
    )
  }
}

async function listenHttp(
  app: FastifyInstance,
  { host, port }: { host: string; port: number }
): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    const shown = `${host}:${port}`
    if (systemErrorCode(cause) === 'EADDRINUSE') {
      throw new BootswarmError(
        'ERR_ADDRESS_IN_USE',
        `--http ${shown} is served by another process; stop it or choose another port`,
        { cause }
      )
    }
    throw new BootswarmError(
      'ERR_ADDRESS_INVALID',
      `cannot listen on --http ${shown}: ${messageOf(cause)}`,
      { cause }
    )
  }
}
