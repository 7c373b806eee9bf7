import type { BlockDevice, Extent } from '../../src/base/index.ts'
import { memoryDevice, type MemoryDevice } from './memory-device.ts'

/** What a test can see of a device that has all that a device may have. */
export interface MappedDevice extends Required<BlockDevice> {
  readonly memory: MemoryDevice
  readonly calls: string[]
}

/** A device in memory of which a test says what is known without reading: runs from its start. */
export function mappedDevice(content: number | Uint8Array, known: readonly Extent[]): MappedDevice {
  const memory = memoryDevice(content)
  const calls: string[] = []
  return {
    memory,
    calls,
    size: memory.size,
    read: (offset, length, signal) => {
      calls.push(`read ${offset} ${length}`)
      return memory.read(offset, length, signal)
    },
    readNow: (offset, into) => {
      const isData = cut(known, offset, into.length).every(
        ({ zero, presence }) => !zero && presence !== 'remote'
      )
      if (isData) memory.bytes.copy(into, 0, offset, offset + into.length)
      return isData
    },
    write: (offset, data) => memory.write(offset, data),
    writeNow: (offset, data) => {
      memory.bytes.set(data, offset)
      return true
    },
    flush: () => memory.flush(),
    extents: async (offset, length) => cut(known, offset, length),
    zero: async (offset, length) => {
      calls.push(`zero ${offset} ${length}`)
      memory.bytes.fill(0, offset, offset + length)
    },
    trim: async (offset, length) => void calls.push(`trim ${offset} ${length}`),
    prefetch: async (offset, length) => void calls.push(`prefetch ${offset} ${length}`)
  }
}

function cut(known: readonly Extent[], offset: number, length: number): Extent[] {
  const inside: Extent[] = []
  let at = 0
  for (const extent of known) {
    const start = Math.max(at, offset)
    const end = Math.min(at + extent.length, offset + length)
    if (end > start) inside.push({ ...extent, length: end - start })
    at += extent.length
  }
  return inside
}

export const data = (length: number): Extent => ({
  length,
  zero: false,
  hole: false,
  presence: 'local'
})
export const hole = (length: number): Extent => ({
  length,
  zero: true,
  hole: true,
  presence: 'local'
})
export const remote = (length: number): Extent => ({
  length,
  zero: false,
  hole: false,
  presence: 'remote'
})
export const written = (length: number): Extent => ({
  length,
  zero: false,
  hole: false,
  presence: 'written'
})
