import { zstdCompressSync } from 'node:zlib'
import { cpioOf } from '../../src/netboot/cpio.ts'

// Files that look like those that machines boot, and are small.

export function sampleKernel(filler: number): Buffer {
  const kernel = Buffer.alloc(2000, filler)
  kernel.write('HdrS', 0x202)
  return kernel
}

export function sampleInitrd(): Buffer {
  return zstdCompressSync(cpioOf([{ path: 'init', mode: 0o755, bytes: Buffer.from('#!/bin/sh') }]))
}

export function sampleArchive(): Buffer {
  return zstdCompressSync(Buffer.alloc(100_000, 'agent'))
}
