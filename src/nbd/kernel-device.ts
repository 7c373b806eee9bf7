import { lookup } from 'node:dns/promises'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlockingSocket, BootswarmError, limits, type SocketTarget } from '../base/index.ts'
import { formatNbdAddress, type NbdAddress } from './address.ts'
import {
  decodeAnswers,
  encodeConnect,
  encodeDisconnect,
  encodeGetFamily,
  encodeReconfigure,
  familyIdOf,
  type KernelDevice,
  type NetlinkAnswer
} from './netlink.ts'
import {
  clientFlags,
  clientFlagsBytes,
  encodeOption,
  greetingBytes,
  greetingMagic,
  infos,
  optionReplies,
  optionReplyHeaderBytes,
  options
} from './wire.ts'

export interface AttachOptions {
  readonly address: NbdAddress
  /** `/dev/nbdN`. */
  readonly device: string
  /** The export's name; the default one when it is empty. */
  readonly exportName: string
  /** For how long the machine's requests wait for a server that is gone. */
  readonly deadConnectionSeconds: number
  /** The connection is gone; requests wait. */
  onLost(): void
  onReconnected(): void
}

/** A month: who waits longer has been forgotten. */
export const deadConnectionSecondsDefault = 30 * 24 * 3600
const EBUSY = 16
const ENOSPC = 28
const blockBytes = 512
const messageBytesMax = 16 * 1024
const watchMs = 200

/**
 * A block device of Linux's nbd.ko that outlives its server: while no server answers, the kernel
 * keeps its requests, and as soon as one does it is given the new connection.
 */
export class KernelNbd {
  readonly #options: AttachOptions
  readonly #index: number
  readonly #netlink: BlockingSocket
  readonly #family: number
  readonly #stopping = new AbortController()
  #connection: BlockingSocket | undefined
  #size = 0
  #watching: Promise<void> = Promise.resolve()

  /** ERR_USAGE for what is no /dev/nbdN, ERR_TOOL_MISSING without nbd.ko. */
  constructor(options: AttachOptions) {
    this.#options = options
    this.#index = nbdDeviceIndex(options.device)
    this.#netlink = BlockingSocket.netlink(limits.nbdHandshakeMs)
    const family = this.#ask(encodeGetFamily('nbd'))
      .map(familyIdOf)
      .find(id => id !== undefined)
    if (family === undefined) {
      this.#netlink.close()
      throw new BootswarmError(
        'ERR_TOOL_MISSING',
        "the kernel knows no NBD devices; load its module with 'modprobe nbd'"
      )
    }
    this.#family = family
  }

  /** Bytes of the device. */
  get size(): number {
    return this.#size
  }

  /**
   * Resolves when the device can be used. One that is connected already, as after this helper was
   * killed, is taken over. Rejects when no server answers, or it serves something else.
   */
  async attach(): Promise<void> {
    const { device } = this.#options
    const errno = await this.#hand(encodeConnect)
    if (errno !== 0 && errno !== EBUSY) throw kernelError(device, errno)
    // The kernel looks at requests without an answer this often, and asks again those that were
    // sent over a connection which has been replaced meanwhile.
    await writeFile(
      `/sys/block/nbd${this.#index}/queue/io_timeout`,
      String(limits.nbdKernelRetryMs)
    )
    this.#watching = this.#watch(errno === EBUSY)
  }

  /** Takes the device away, whoever attached it; what the machine still wants of it fails. */
  async detach(): Promise<void> {
    this.#stopping.abort()
    await this.#watching
    this.#ask(encodeDisconnect(this.#family, this.#index))
    await this.leave()
  }

  /** The device stays: what the machine wants of it waits for whoever attaches it next. */
  async leave(): Promise<void> {
    this.#stopping.abort()
    await this.#watching
    this.#connection?.close()
    this.#connection = undefined
    this.#netlink.close()
  }

  async #watch(takenOver: boolean): Promise<void> {
    const { signal } = this.#stopping
    let lost = takenOver
    while (await pause(watchMs, signal)) {
      if (!lost && this.#connection?.isAlive() === true) continue
      if (!lost) this.#options.onLost()
      lost = true
      const errno = await this.#hand(encodeReconfigure).catch(() => undefined)
      // Nobody serves yet, or the kernel has not noticed the old connection's end.
      if (errno !== 0) continue
      lost = false
      this.#options.onReconnected()
    }
  }

  /** Makes a connection and gives it to the kernel; what that says. */
  async #hand(encode: (family: number, device: KernelDevice) => Buffer): Promise<number> {
    const { deadConnectionSeconds, device } = this.#options
    const connection = BlockingSocket.connect(
      await socketTarget(this.#options.address),
      limits.nbdHandshakeMs,
      formatNbdAddress(this.#options.address)
    )
    let errno = -1
    try {
      const { size, flags } = await shakeHands(connection, this.#options.exportName)
      if (this.#size !== 0 && size !== this.#size) {
        throw new BootswarmError(
          'ERR_NBD_PROTOCOL',
          `${device} had ${this.#size} bytes and the server now has ${size}; detach it and attach it anew`
        )
      }
      this.#size = size
      connection.limit(0)
      const kernelDevice = {
        index: this.#index,
        sizeBytes: size,
        blockBytes,
        serverFlags: flags,
        deadConnectionSeconds,
        fd: connection.fd
      }
      errno = errnoOf(this.#ask(encode(this.#family, kernelDevice)))
      return errno
    } finally {
      if (errno === 0) {
        this.#connection?.close()
        this.#connection = connection
      } else connection.close()
    }
  }

  #ask(request: Buffer): NetlinkAnswer[] {
    this.#netlink.write(request)
    const answers: NetlinkAnswer[] = []
    while (!answers.some(({ kind }) => kind === 'done')) {
      answers.push(...decodeAnswers(this.#netlink.readMessage(messageBytesMax)))
    }
    return answers
  }
}

function errnoOf(answers: readonly NetlinkAnswer[]): number {
  const done = answers.find(answer => answer.kind === 'done')
  return done?.errno ?? 0
}

function kernelError(device: string, errno: number): BootswarmError {
  const why = errno === ENOSPC ? 'it has a live connection' : `error ${errno}`
  return new BootswarmError('ERR_NBD_PROTOCOL', `the kernel does not take ${device}: ${why}`)
}

/** The N of /dev/nbdN; ERR_USAGE for what is none. */
export function nbdDeviceIndex(device: string): number {
  const [, digits] = /^\/dev\/nbd(\d{1,4})$/.exec(device) ?? []
  if (digits !== undefined) return Number(digits)
  throw new BootswarmError('ERR_USAGE', `${device} is no NBD device; write one as /dev/nbd0`)
}

async function socketTarget(address: NbdAddress): Promise<SocketTarget> {
  if (address.kind === 'unix') return address
  const found = await lookup(address.host)
  const family = found.family === 6 ? 6 : 4
  return { kind: 'tcp', family, ip: ipBytes(found.address, family), port: address.port }
}

function ipBytes(text: string, family: 4 | 6): Uint8Array {
  if (family === 4) return Uint8Array.from(text.split('.'), Number)
  // A URL spells an IPv6 address in one way only, with hexadecimal groups.
  const { hostname } = new URL(`http://[${text.replace(/%.*/, '')}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [front, back] = [groups(head), groups(tail ?? '')]
  const zeros = Array<string>(8 - front.length - back.length).fill('0')
  const words = [...front, ...(tail === undefined ? [] : zeros), ...back]
  return Uint8Array.from(
    words.flatMap(word => [parseInt(word, 16) >> 8, parseInt(word, 16) & 0xff])
  )
}

/** The handshake of a client that wants simple replies, which is all that nbd.ko reads. */
async function shakeHands(
  socket: BlockingSocket,
  name: string
): Promise<{ size: number; flags: number }> {
  const broken = (why: string): BootswarmError => new BootswarmError('ERR_NBD_PROTOCOL', why)
  if ((await socket.read(greetingBytes)).readBigUInt64BE(0) !== greetingMagic) {
    throw broken('what answers is no NBD server')
  }
  const flags = Buffer.alloc(clientFlagsBytes)
  flags.writeUInt32BE(clientFlags.FIXED_NEWSTYLE | clientFlags.NO_ZEROES)
  const nameBytes = Buffer.from(name, 'utf8')
  const query = Buffer.alloc(6 + nameBytes.length)
  query.writeUInt32BE(nameBytes.length, 0)
  query.set(nameBytes, 4)
  socket.write(Buffer.concat([flags, encodeOption(options.GO, query)]))
  let found: { size: number; flags: number } | undefined
  for (;;) {
    const header = await socket.read(optionReplyHeaderBytes)
    const length = header.readUInt32BE(16)
    if (length > limits.nbdOptionBytesMax) throw broken('the server sends too long an answer')
    const data = await socket.read(length)
    const reply = header.readUInt32BE(12)
    if (reply === optionReplies.INFO && data.readUInt16BE(0) === infos.EXPORT) {
      found = { size: Number(data.readBigUInt64BE(2)), flags: data.readUInt16BE(10) }
    }
    if (reply === optionReplies.ACK && found !== undefined) return found
    if (reply !== optionReplies.INFO) throw broken(`the server does not serve '${name}'`)
  }
}

/** False when the signal ended it. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => {
    // The answer says so.
  })
  return !signal.aborted
}
