import { setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'
import { BootswarmError } from './errors.ts'

// Sockets whose descriptor is given to the kernel: Node's own are read from by its event loop, which
// would steal what is meant for the kernel. Calls block, but none for longer than the time given, and a read does not:
// who answers may be this process.

const libc = koffi.load('libc.so.6')
const socketCall = libc.func('int socket(int domain, int type, int protocol)')
const connectCall = libc.func('int connect(int fd, const void *address, uint32_t length)')
const sendCall = libc.func('int64_t send(int fd, const void *bytes, size_t length, int flags)')
const recvCall = libc.func('int64_t recv(int fd, _Out_ void *bytes, size_t length, int flags)')
const setsockoptCall = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'
)
const closeCall = libc.func('int close(int fd)')

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const SOCK_STREAM = 1
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_GENERIC = 16
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_SNDTIMEO = 21
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const MSG_PEEK = 2
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const readRetryMs = 1

/** A numeric address, or the path of a unix socket. */
export type SocketTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly family: 4 | 6; readonly ip: Uint8Array; readonly port: number }

export class BlockingSocket {
  readonly fd: number
  readonly #what: string
  #timeoutMs = 0

  private constructor(fd: number, what: string) {
    this.fd = fd
    this.#what = what
  }

  /** ERR_NBD_PROTOCOL when nobody answers in time. */
  static connect(target: SocketTarget, timeoutMs: number, what: string): BlockingSocket {
    const domain = target.kind === 'unix' ? AF_UNIX : target.family === 4 ? AF_INET : AF_INET6
    const socket = BlockingSocket.#open(domain, SOCK_STREAM, 0, what)
    try {
      socket.limit(timeoutMs)
      const address = addressBytes(target)
      socket.#check(connectCall(socket.fd, address, address.length) as number, 'connect')
      if (target.kind === 'tcp') socket.#set(IPPROTO_TCP, TCP_NODELAY, int32(1))
      return socket
    } catch (error) {
      socket.close()
      throw error
    }
  }

  /** To the kernel's generic netlink (netlink(7)). */
  static netlink(timeoutMs: number): BlockingSocket {
    const what = 'the kernel'
    const socket = BlockingSocket.#open(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC, what)
    socket.limit(timeoutMs)
    return socket
  }

  static #open(domain: number, type: number, protocol: number, what: string): BlockingSocket {
    const fd = socketCall(domain, type | SOCK_CLOEXEC, protocol) as number
    const socket = new BlockingSocket(fd, what)
    socket.#check(fd, 'socket')
    return socket
  }

  /** How long a call may block, or a read wait; 0 is for ever. */
  limit(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs
    const time = Buffer.alloc(16)
    time.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0)
    time.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8)
    this.#set(SOL_SOCKET, SO_RCVTIMEO, time)
    this.#set(SOL_SOCKET, SO_SNDTIMEO, time)
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done)
      done += this.#check(Number(sendCall(this.fd, rest, rest.length, MSG_NOSIGNAL)), 'send')
    }
  }

  /** All `length` bytes; other work of this process goes on meanwhile. */
  async read(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    const end = this.#timeoutMs === 0 ? Infinity : performance.now() + this.#timeoutMs
    for (let done = 0; done < length;) {
      const rest = bytes.subarray(done)
      const got = Number(recvCall(this.fd, rest, rest.length, MSG_DONTWAIT))
      if (got === 0) throw new BootswarmError('ERR_NBD_PROTOCOL', `${this.#what} hung up`)
      if (got < 0 && (!isEmpty() || performance.now() >= end)) this.#check(got, 'recv')
      if (got < 0) await sleep(readRetryMs)
      else done += got
    }
    return bytes
  }

  /** One message, at most `lengthMax` of it. */
  readMessage(lengthMax: number): Buffer {
    const bytes = Buffer.alloc(lengthMax)
    return bytes.subarray(0, this.#check(Number(recvCall(this.fd, bytes, lengthMax, 0)), 'recv'))
  }

  /** Whether the other side may still say something; what it has said stays to be read. */
  isAlive(): boolean {
    const seen = Number(recvCall(this.fd, Buffer.alloc(1), 1, MSG_PEEK | MSG_DONTWAIT))
    return seen > 0 || (seen < 0 && isEmpty())
  }

  close(): void {
    closeCall(this.fd)
  }

  #set(level: number, option: number, value: Uint8Array): void {
    this.#check(setsockoptCall(this.fd, level, option, value, value.length) as number, 'setsockopt')
  }

  #check(result: number, call: string): number {
    if (result >= 0) return result
    const errno = koffi.errno()
    const [code = `errno ${errno}`] =
      Object.entries(koffi.os.errno).find(([, value]) => value === errno) ?? []
    throw new BootswarmError('ERR_NBD_PROTOCOL', `${this.#what}: ${call}: ${code}`)
  }
}

/** Of a call that did not wait and gave nothing. */
function isEmpty(): boolean {
  return koffi.errno() === koffi.os.errno.EAGAIN
}

function addressBytes(target: SocketTarget): Buffer {
  if (target.kind === 'unix') {
    const bytes = Buffer.alloc(2 + Buffer.byteLength(target.path) + 1)
    bytes.writeUInt16LE(AF_UNIX, 0)
    bytes.write(target.path, 2)
    return bytes
  }
  const v4 = target.family === 4
  const bytes = Buffer.alloc(v4 ? 16 : 28)
  bytes.writeUInt16LE(v4 ? AF_INET : AF_INET6, 0)
  bytes.writeUInt16BE(target.port, 2)
  bytes.set(target.ip, v4 ? 4 : 8)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
