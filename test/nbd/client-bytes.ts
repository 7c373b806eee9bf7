// What an NBD client sends, written from proto.md with its own numbers: a test that used the server's
// tables could not notice a wrong one.

export function clientFlagBytes(flags: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(flags)
  return bytes
}

export function optionBytes(option: number, data: Uint8Array = new Uint8Array()): Buffer {
  const header = Buffer.alloc(16)
  header.write('IHAVEOPT', 'latin1')
  header.writeUInt32BE(option, 8)
  header.writeUInt32BE(data.length, 12)
  return Buffer.concat([header, data])
}

/** The data of NBD_OPT_INFO and NBD_OPT_GO. */
export function infoQueryBytes(name: string, infos: readonly number[] = []): Buffer {
  const nameBytes = Buffer.from(name)
  const bytes = Buffer.alloc(6 + nameBytes.length + 2 * infos.length)
  bytes.writeUInt32BE(nameBytes.length, 0)
  nameBytes.copy(bytes, 4)
  bytes.writeUInt16BE(infos.length, 4 + nameBytes.length)
  infos.forEach((info, index) => bytes.writeUInt16BE(info, 6 + nameBytes.length + 2 * index))
  return bytes
}

export interface RawRequest {
  readonly flags?: number
  readonly command: number
  readonly cookie?: bigint
  readonly offset?: bigint | number
  /** Taken from the payload when left out. */
  readonly length?: number
  readonly payload?: Uint8Array
}

/** The data of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT. */
export function metaQueryBytes(name: string, queries: readonly string[]): Buffer {
  const string = (text: string): Buffer => {
    const bytes = Buffer.from(text)
    return Buffer.concat([uint32(bytes.length), bytes])
  }
  return Buffer.concat([string(name), uint32(queries.length), ...queries.map(string)])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A request of 32 bytes, as EXTENDED_HEADERS has them. */
export function extendedRequestBytesOf(
  request: Omit<RawRequest, 'length'> & { readonly length?: bigint | number }
): Buffer {
  const { flags = 0, command, cookie = 1n, offset = 0, payload = new Uint8Array() } = request
  const header = Buffer.alloc(32)
  header.writeUInt32BE(0x21e41c71, 0)
  header.writeUInt16BE(flags, 4)
  header.writeUInt16BE(command, 6)
  header.writeBigUInt64BE(cookie, 8)
  header.writeBigUInt64BE(BigInt(offset), 16)
  header.writeBigUInt64BE(BigInt(request.length ?? payload.length), 24)
  return Buffer.concat([header, payload])
}

export function requestBytesOf(request: RawRequest): Buffer {
  const { flags = 0, command, cookie = 1n, offset = 0, payload = new Uint8Array() } = request
  const header = Buffer.alloc(28)
  header.writeUInt32BE(0x25609513, 0)
  header.writeUInt16BE(flags, 4)
  header.writeUInt16BE(command, 6)
  header.writeBigUInt64BE(cookie, 8)
  header.writeBigUInt64BE(BigInt(offset), 16)
  header.writeUInt32BE(request.length ?? payload.length, 24)
  return Buffer.concat([header, payload])
}

export const READ = 0
export const WRITE = 1
export const DISC = 2
export const FLUSH = 3
export const TRIM = 4
export const CACHE = 5
export const WRITE_ZEROES = 6
export const BLOCK_STATUS = 7
export const FUA = 1
export const NO_HOLE = 2
export const DF = 4
export const REQ_ONE = 8
export const FAST_ZERO = 16
export const PAYLOAD_LEN = 32

export const EPERM = 1
export const EIO = 5
export const EINVAL = 22
export const ENOSPC = 28
export const EOVERFLOW = 75
export const ENOTSUP = 95
export const ESHUTDOWN = 108
