import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, lstat, open, rename, unlink } from 'node:fs/promises'
import { connect, createServer, type ListenOptions, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootswarmError, messageOf, systemErrorCode, tryLock } from '../base/index.ts'
import { formatNbdAddress, type NbdAddress } from './address.ts'

const lockMs = 5_000
const lockRetryMs = 10

export interface Listening {
  /** Where it really listens: a port asked for as 0 has its number here. */
  readonly address: NbdAddress
  /** Takes away what closing the server leaves behind. */
  cleanUp(): Promise<void>
}

/** Throws ERR_ADDRESS_IN_USE when another process serves the address, else ERR_ADDRESS_INVALID. */
export async function listen(server: Server, address: NbdAddress): Promise<Listening> {
  try {
    if (address.kind === 'unix') return await listenOnPath(server, address.path)
    return await listenOnPort(server, address.host, address.port)
  } catch (error) {
    throw listenError(error, address)
  }
}

/** Throws what `listen` would throw now; listens only for as long as it takes to know. */
export async function requireListenable(address: NbdAddress): Promise<void> {
  const server = createServer(socket => socket.destroy())
  try {
    if (address.kind === 'tcp') await bind(server, { host: address.host, port: address.port })
    else {
      await requireFree(address, address.path)
      await bind(server, { path: draftPath(address.path) })
    }
  } catch (error) {
    throw listenError(error, address)
  } finally {
    await new Promise(resolve => server.close(resolve))
  }
}

function listenError(error: unknown, address: NbdAddress): BootswarmError {
  if (error instanceof BootswarmError) return error
  if (systemErrorCode(error) === 'EADDRINUSE') return inUse(address)
  // What libuv says of a missing folder, too; the path in its message is of our draft.
  const isFolder = address.kind === 'unix' && systemErrorCode(error) === 'EACCES'
  const reason = isFolder
    ? `its folder ${dirname(address.path)} is not there, or cannot be written to`
    : messageOf(error)
  return new BootswarmError(
    'ERR_ADDRESS_INVALID',
    `cannot listen on ${formatNbdAddress(address)}: ${reason}`,
    { cause: error }
  )
}

function inUse(address: NbdAddress): BootswarmError {
  return new BootswarmError(
    'ERR_ADDRESS_IN_USE',
    `${formatNbdAddress(address)} is already served by another process; stop it or choose another address`
  )
}

async function listenOnPort(server: Server, host: string, port: number): Promise<Listening> {
  await bind(server, { host, port })
  const bound = server.address()
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port
  return { address: { kind: 'tcp', host, port: boundPort }, cleanUp: async () => {} }
}

/**
 * The socket is made under another name and moved into place when its mode is right: nobody else can
 * ever connect, and a stale file is replaced in one step.
 */
async function listenOnPath(server: Server, path: string): Promise<Listening> {
  const address: NbdAddress = { kind: 'unix', path }
  const draft = draftPath(path)
  const { ino } = await alone(dirname(path), async () => {
    await requireFree(address, path)
    await bind(server, { path: draft })
    await chmod(draft, 0o600)
    await rename(draft, path)
    return lstat(path)
  })
  return { address, cleanUp: () => removeOwn(path, ino) }
}

/**
 * Two that look whether a path is free, and then take it, must not do so at the same instant: the
 * folder's lock is held meanwhile, for some milliseconds (flock(2); it goes with its process).
 */
async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await using held = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  const deadline = performance.now() + lockMs
  while (!tryLock(held.fd)) {
    if (performance.now() > deadline) {
      throw new BootswarmError('ERR_ADDRESS_IN_USE', `${folder} is locked by another process`)
    }
    await sleep(lockRetryMs)
  }
  return await work()
}

/** In the same folder, and no longer than most sockets' names: the length of a path is limited. */
function draftPath(path: string): string {
  return join(dirname(path), `.${randomBytes(3).toString('hex')}`)
}

async function bind(server: Server, options: ListenOptions): Promise<void> {
  server.listen(options)
  await once(server, 'listening')
}

async function requireFree(address: NbdAddress, path: string): Promise<void> {
  const stat = await lstat(path).catch(ignoreMissing)
  if (stat === undefined) return
  if (!stat.isSocket()) {
    throw new BootswarmError(
      'ERR_ADDRESS_INVALID',
      `${path} exists and is not a socket; choose another path or remove it`
    )
  }
  if (await isServed(path)) throw inUse(address)
}

/** A socket file whose process has died refuses connections. */
async function isServed(path: string): Promise<boolean> {
  const probe = connect(path)
  try {
    await once(probe, 'connect')
    return true
  } catch (error) {
    const code = systemErrorCode(error)
    // Anything else (no permission, a full backlog) means that somebody may be there.
    return code !== 'ECONNREFUSED' && code !== 'ENOENT'
  } finally {
    probe.destroy()
  }
}

/** Leaves alone what another process has put there since. */
async function removeOwn(path: string, ino: number): Promise<void> {
  const stat = await lstat(path).catch(ignoreMissing)
  if (stat?.ino === ino) await unlink(path).catch(ignoreMissing)
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) !== 'ENOENT') throw error
}
