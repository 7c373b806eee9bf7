import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

// The few requests to the kernel's device mapper that a hand-over needs, as in linux/dm-ioctl.h,
// version 4. No program is started for them: while the root is suspended, nothing can be loaded.

const ioctl = koffi
  .load('libc.so.6')
  .func('int ioctl(int fd, unsigned long request, uint8_t *data)')

const headerBytes = 312
const nameOffset = 48
const uuidOffset = 176
const targetBytes = 40
const bufferBytes = 4096
const nameBytesMax = 127

const requests = { suspend: 6, status: 7, load: 9, clear: 10, table: 12 } as const

const flags = {
  readOnly: 1 << 0,
  suspend: 1 << 1,
  statusTable: 1 << 4,
  inactivePresent: 1 << 6,
  skipLockfs: 1 << 10
} as const

export interface MappedDevice {
  readonly uuid: string
  readonly isSuspended: boolean
  readonly isReadOnly: boolean
  /** A table is loaded that the next resume puts into force. */
  readonly hasNext: boolean
}

/** One target of a table: sectors of 512 bytes that go to another device. */
export interface Target {
  readonly sectors: number
  readonly kind: string
  /** For `linear`: `MAJOR:MINOR SECTOR`. */
  readonly parameters: string
}

export class DeviceMapper {
  readonly #fd = openSync('/dev/mapper/control', 'r+')
  readonly #name: string

  /** Of one device, by its name. */
  constructor(name: string) {
    if (name === '' || Buffer.byteLength(name) > nameBytesMax) throw new Error(`bad name '${name}'`)
    this.#name = name
  }

  close(): void {
    closeSync(this.#fd)
  }

  status(): MappedDevice {
    const bytes = this.#request('status', 0)
    const state = bytes.readUInt32LE(28)
    return {
      uuid: textAt(bytes, uuidOffset),
      isSuspended: (state & flags.suspend) !== 0,
      isReadOnly: (state & flags.readOnly) !== 0,
      hasNext: (state & flags.inactivePresent) !== 0
    }
  }

  /** The table in force. */
  table(): Target[] {
    const bytes = this.#request('table', flags.statusTable)
    const start = bytes.readUInt32LE(16)
    const targets: Target[] = []
    for (let count = bytes.readUInt32LE(20), at = start; count > 0; count--) {
      targets.push({
        sectors: Number(bytes.readBigUInt64LE(at + 8)),
        kind: textAt(bytes, at + 24),
        parameters: textAt(bytes, at + targetBytes)
      })
      at = start + bytes.readUInt32LE(at + 20)
    }
    return targets
  }

  /**
   * Loads a table of one target, which claims the devices in it; it is not in force yet. A device that can only be read
   * stays so.
   */
  load({ sectors, kind, parameters }: Target): void {
    const target = Buffer.alloc(targetBytes + Buffer.byteLength(parameters) + 1)
    target.writeBigUInt64LE(BigInt(sectors), 8)
    target.write(kind, 24, 'latin1')
    target.write(parameters, targetBytes, 'latin1')
    this.#request('load', this.status().isReadOnly ? flags.readOnly : 0, target)
  }

  /** Forgets a table that is not in force yet. */
  clear(): void {
    this.#request('clear', 0)
  }

  /** Resolves what is under way and holds what comes. The file system on it is not frozen. */
  suspend(): void {
    this.#request('suspend', flags.suspend | flags.skipLockfs)
  }

  /** Puts a loaded table into force, and lets go what was held. */
  resume(): void {
    this.#request('suspend', 0)
  }

  #request(kind: keyof typeof requests, state: number, target?: Buffer): Buffer {
    const bytes = Buffer.alloc(bufferBytes)
    bytes.writeUInt32LE(4, 0)
    bytes.writeUInt32LE(bufferBytes, 12)
    bytes.writeUInt32LE(headerBytes, 16)
    bytes.writeUInt32LE(target === undefined ? 0 : 1, 20)
    bytes.writeUInt32LE(state, 28)
    bytes.write(this.#name, nameOffset, 'utf8')
    target?.copy(bytes, headerBytes)
    // _IOWR(0xfd, request, struct dm_ioctl), linux/ioctl.h.
    const number = (3 * 2 ** 30 + headerBytes * 2 ** 16 + 0xfd * 2 ** 8 + requests[kind]) >>> 0
    if (Number(ioctl(this.#fd, number, bytes)) === 0) return bytes
    const reason = errorName(koffi.errno())
    throw new Error(`device-mapper refuses to ${kind} ${this.#name}: ${reason}`)
  }
}

function errorName(errno: number): string {
  const found = Object.entries(koffi.os.errno).find(([, number]) => number === errno)
  return found?.[0] ?? `error ${errno}`
}

function textAt(bytes: Buffer, start: number): string {
  return bytes.toString('latin1', start, bytes.indexOf(0, start))
}
