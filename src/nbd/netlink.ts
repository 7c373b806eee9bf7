// Generic netlink as far as nbd.ko needs it: include/uapi/linux/netlink.h, genetlink.h and
// nbd-netlink.h of Linux; the tables are in docs/nbd.md. Integers are the machine's, little-endian.

const controlFamily = 0x10
const controlVersion = 2
const getFamily = 3
const familyIdAttribute = 1
const familyNameAttribute = 2
const errorType = 2
const requestFlag = 1
const acknowledgeFlag = 4
const nestedFlag = 0x8000
const headerBytes = 20
const attributeBytes = 4

const nbdCommands = { CONNECT: 1, DISCONNECT: 2, RECONFIGURE: 3 } as const

const attributes = {
  INDEX: 1,
  SIZE_BYTES: 2,
  BLOCK_SIZE_BYTES: 3,
  TIMEOUT: 4,
  SERVER_FLAGS: 5,
  CLIENT_FLAGS: 6,
  SOCKETS: 7,
  DEAD_CONN_TIMEOUT: 8
} as const
const socketItem = 1
const socketFd = 1

/** What the kernel is told of a device and its one connection. */
export interface KernelDevice {
  /** The N of /dev/nbdN. */
  readonly index: number
  readonly sizeBytes: number
  readonly blockBytes: number
  /** NBD's transmission flags. */
  readonly serverFlags: number
  /** For how long requests wait for a connection to come back. */
  readonly deadConnectionSeconds: number
  /** A connected socket, past the handshake. */
  readonly fd: number
}

export function encodeGetFamily(name: string): Buffer {
  const text = attribute(familyNameAttribute, Buffer.from(`${name}\0`))
  return message(controlFamily, getFamily, controlVersion, [text])
}

export function encodeConnect(family: number, device: KernelDevice): Buffer {
  return message(family, nbdCommands.CONNECT, 1, [
    attribute(attributes.INDEX, uint32(device.index)),
    attribute(attributes.SIZE_BYTES, uint64(device.sizeBytes)),
    attribute(attributes.BLOCK_SIZE_BYTES, uint64(device.blockBytes)),
    // 0: the kernel never gives up a request that it has sent, however long the answer takes.
    attribute(attributes.TIMEOUT, uint64(0)),
    attribute(attributes.SERVER_FLAGS, uint64(device.serverFlags)),
    attribute(attributes.DEAD_CONN_TIMEOUT, uint64(device.deadConnectionSeconds)),
    sockets(device.fd)
  ])
}

/** A new connection in place of one that is dead. */
export function encodeReconfigure(family: number, device: KernelDevice): Buffer {
  return message(family, nbdCommands.RECONFIGURE, 1, [
    attribute(attributes.INDEX, uint32(device.index)),
    attribute(attributes.DEAD_CONN_TIMEOUT, uint64(device.deadConnectionSeconds)),
    sockets(device.fd)
  ])
}

export function encodeDisconnect(family: number, index: number): Buffer {
  return message(family, nbdCommands.DISCONNECT, 1, [attribute(attributes.INDEX, uint32(index))])
}

export type NetlinkAnswer =
  /** `errno` 0 is success. */
  | { readonly kind: 'done'; readonly errno: number }
  | { readonly kind: 'message'; readonly attributes: ReadonlyMap<number, Buffer> }

/** The messages of one datagram; what is malformed is left out. */
export function decodeAnswers(bytes: Buffer): NetlinkAnswer[] {
  const answers: NetlinkAnswer[] = []
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    if (length < headerBytes || at + length > bytes.length) break
    if (bytes.readUInt16LE(at + 4) === errorType) {
      answers.push({ kind: 'done', errno: -bytes.readInt32LE(at + 16) })
    } else {
      const body = bytes.subarray(at + headerBytes, at + length)
      answers.push({ kind: 'message', attributes: decodeAttributes(body) })
    }
    at += padded(length)
  }
  return answers
}

/** The number that the kernel has given to a family; undefined if the answer does not say. */
export function familyIdOf(answer: NetlinkAnswer): number | undefined {
  const id = answer.kind === 'message' ? answer.attributes.get(familyIdAttribute) : undefined
  return id !== undefined && id.length >= 2 ? id.readUInt16LE(0) : undefined
}

function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + attributeBytes <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < attributeBytes || at + length > bytes.length) break
    found.set(
      bytes.readUInt16LE(at + 2) & ~nestedFlag,
      bytes.subarray(at + attributeBytes, at + length)
    )
    at += padded(length)
  }
  return found
}

function message(type: number, command: number, version: number, parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(headerBytes + body.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(requestFlag | acknowledgeFlag, 6)
  header.writeUInt8(command, 16)
  header.writeUInt8(version, 17)
  return Buffer.concat([header, body])
}

function sockets(fd: number): Buffer {
  const item = attribute(socketItem | nestedFlag, attribute(socketFd, uint32(fd)))
  return attribute(attributes.SOCKETS | nestedFlag, item)
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(padded(attributeBytes + value.length))
  bytes.writeUInt16LE(attributeBytes + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(value, attributeBytes)
  return bytes
}

function padded(length: number): number {
  return (length + 3) & ~3
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
